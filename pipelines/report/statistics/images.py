"""Two configurations on the same test images: a mixed model of the paired differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from pipelines.papers.inference import LEVEL


@dataclass(frozen=True)
class Mixed:
    """Mean difference, its 95 % interval and two-sided p; the standard deviations of seeds, images and the rest."""

    mean: float
    low: float
    high: float
    p: float
    seeds: float
    images: float
    rest: float


NOT_FITTED = Mixed(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)


def fit_mixed(differences: Float[np.ndarray, "S I"]) -> Mixed:
    """d_si = μ + a_s + b_i + e_si, seeds and images random and crossed: would μ be there with others of both?

    Every seed is tested on every image, so analysis of variance estimates the components: with mean squares MS of
    seeds, images and the rest, Var(mean) = (MS_s + MS_i - MS_e) / (S I), on Satterthwaite's degrees of freedom
    (Σ MS)² / Σ (MS² / df), but on S - 1 at most: where the part of the seeds is below zero by chance it counts as zero,
    and the images' degrees would find, of two seeds, a difference in 12 % of cases in which there is none. Where no
    part is below zero the estimates are those of REML, for which statsmodels' MixedLM takes minutes.
    """
    seeds, images = differences.shape
    if min(seeds, images) < 2 or not np.isfinite(differences).all():
        return NOT_FITTED
    mean = float(differences.mean())
    by_seed, by_image = differences.mean(axis=1), differences.mean(axis=0)
    rest = differences - by_seed[:, None] - by_image[None] + mean
    squares = np.array([images * by_seed.var(ddof=1), seeds * by_image.var(ddof=1), 0.0])
    freedom = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)], dtype=float)
    squares[2] = (rest**2).sum() / freedom[2]
    vary = squares[:2] > squares[2]
    parts = np.array([*vary, 1 - vary.sum()]) * squares
    variance = parts.sum() / differences.size
    by_seeds, by_images = np.sqrt(np.maximum(0, squares[:2] - squares[2]) / (images, seeds)).tolist()
    if variance <= 1e-24:
        return Mixed(mean, mean, mean, math.nan, by_seeds, by_images, 0.0)
    t = stats.t(min(seeds - 1, parts.sum() ** 2 / (parts**2 / freedom).sum()))
    error = math.sqrt(variance)
    reach = float(t.ppf(0.5 + LEVEL / 2)) * error
    p = 2 * float(t.sf(abs(mean) / error))
    return Mixed(mean, mean - reach, mean + reach, p, by_seeds, by_images, math.sqrt(squares[2]))
