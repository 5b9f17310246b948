"""Would the best configuration be the best again, with other seeds or other test images?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pipelines.report.statistics.comparisons import RESAMPLES, independent
from pipelines.report.statistics.scores import Scores


@dataclass(frozen=True)
class Wins:
    """How often a configuration is the best of all over bootstrap resamples of seeds (in a cross-validation, of folds),
    of images and of both; ties are shared. Nothing can be said of images where the trials share none, nor of a
    configuration whose mean is no number: it takes no part.
    """

    configuration: str
    mean: float
    seeds: float
    images: float
    both: float


def count_wins(scores: Scores) -> list[Wins]:
    """Of every configuration that has all repeats, the best mean first and what is no number last."""
    whole = scores.trained.all(axis=1)
    if whole.sum() < 2:
        return []
    means = scores.values.mean(axis=1)
    known = whole & np.isfinite(means)
    shares = np.full((3, len(means)), math.nan)
    shares[:, known] = _shares(scores, known)
    found = [
        Wins(scores.configurations[place], float(means[place]), *shares[:, place].tolist())
        for place in np.flatnonzero(whole)
    ]
    return sorted(found, key=lambda one: (math.isnan(one.mean), -one.mean))


def _shares(scores: Scores, known: Bool[np.ndarray, " C"]) -> Float[np.ndarray, "3 K"]:
    """By seeds, by images and by both, of the configurations that are `known`."""
    shares = np.full((3, known.sum()), math.nan)
    if known.sum() < 2:
        return shares
    values = independent(scores.repeats, scores.values[known])
    if values.shape[1] > 1:
        shares[0] = _share(values @ _counts(values.shape[1], 0))
    if scores.images is not None:
        by_image = scores.images.values[known]
        images = _counts(by_image.shape[2], 1)
        shares[1] = _share(by_image.mean(axis=1) @ images)
        if by_image.shape[1] > 1:
            seeds = _counts(by_image.shape[1], 2)
            resampled = (by_image.reshape(-1, by_image.shape[2]) @ images).reshape(*by_image.shape[:2], -1)
            shares[2] = _share(np.einsum("csb,sb->cb", resampled, seeds))
    return shares


def _counts(n: int, seed: int) -> Float[np.ndarray, "n B"]:
    """How often each of n is drawn in each resample, as a share."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES).T / n


def _share(drawn: Float[np.ndarray, "C B"]) -> Float[np.ndarray, " C"]:
    """In which share of the resamples each configuration is best; those that tie share it."""
    best = drawn >= drawn.max(axis=0) - 1e-9
    return (best / best.sum(axis=0)).mean(axis=1)
