"""Would the best configuration be the best again, with other seeds or other test images?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipelines.report.statistics.comparisons import RESAMPLES
from pipelines.report.statistics.scores import Scores


@dataclass(frozen=True)
class Wins:
    """How often a configuration is the best of all over bootstrap resamples of seeds, of images and of both; ties are
    shared. None can be said of images where the trials share none.
    """

    configuration: str
    mean: float
    seeds: float
    images: float
    both: float


def count_wins(scores: Scores) -> list[Wins]:
    """Of every configuration that has all repeats, the best mean first."""
    whole = np.isfinite(scores.values).all(axis=1)
    if whole.sum() < 2:
        return []
    names = [name for name, there in zip(scores.configurations, whole, strict=True) if there]
    values = scores.values[whole]
    columns = {"seeds": _share(values @ _counts(values.shape[1], 0)) if values.shape[1] > 1 else None}
    if scores.images is not None:
        by_image = scores.images.values[whole]
        images = _counts(by_image.shape[2], 1)
        columns["images"] = _share(by_image.mean(axis=1) @ images)
        if by_image.shape[1] > 1:
            seeds = _counts(by_image.shape[1], 2)
            resampled = (by_image.reshape(-1, by_image.shape[2]) @ images).reshape(*by_image.shape[:2], -1)
            columns["both"] = _share(np.einsum("csb,sb->cb", resampled, seeds))
    found = [
        Wins(
            name,
            float(values[place].mean()),
            *(
                math.nan if (column := columns.get(kind)) is None else float(column[place])
                for kind in ("seeds", "images", "both")
            ),
        )
        for place, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: -one.mean)


def _counts(n: int, seed: int) -> Float[np.ndarray, "n B"]:
    """How often each of n is drawn in each resample, as a share."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES).T / n


def _share(drawn: Float[np.ndarray, "C B"]) -> Float[np.ndarray, " C"]:
    """In which share of the resamples each configuration is best; those that tie share it."""
    best = drawn >= drawn.max(axis=0) - 1e-9
    return (best / best.sum(axis=0)).mean(axis=1)
