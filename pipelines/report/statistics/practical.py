"""A configuration beside the baseline: is the difference large enough to matter, and how sure is that?"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from pipelines.papers.inference import LEVEL, repeats_needed, without_spread
from pipelines.report.statistics.comparisons import RESAMPLES, independent
from pipelines.report.statistics.images import NOT_FITTED, Mixed, fit_mixed
from pipelines.report.statistics.scores import Scores


@dataclass(frozen=True)
class Practical:
    """A configuration against the baseline in a headline score.

    Attributes:
        seeds: Independent pairs, see `independent`.
        difference: Their mean, in percentage points.
        worse, equal, better: Probabilities that the mean difference is below, within and above ± `margin` points.
        improvement: How often a training of this configuration beats one of the baseline, with its 95 % interval.
        needed: Pairs with which a paired t test finds the observed difference with 80 % power; None for too many, nan
            where there is no spread to go by.
        needed_margin: The same for a difference of `margin`, at the observed spread.
        mixed: The difference over seeds and test images.
    """

    configuration: str
    seeds: int
    margin: float
    difference: float
    worse: float
    equal: float
    better: float
    improvement: float
    improvement_low: float
    improvement_high: float
    needed: float | None
    needed_margin: float | None
    mixed: Mixed


def judge_practically(scores: Scores, margin: float) -> list[Practical]:
    """Every configuration that shares two repeats or more with the baseline; `margin` is in percentage points.

    Where a score of theirs is no number nothing of this is one.
    """
    if scores.baseline is None:
        return []
    found = []
    for place, configuration in enumerate(scores.configurations):
        shared = scores.trained[place] & scores.trained[scores.baseline]
        if place == scores.baseline or shared.sum() < 2:
            continue
        ours, theirs = scores.values[place][shared], scores.values[scores.baseline][shared]
        repeats = [repeat for repeat, there in zip(scores.repeats, shared, strict=True) if there]
        differences = independent(repeats, ours - theirs)
        mean, folds = float(differences.mean()), len({fold for _, fold in repeats})
        found.append(
            Practical(
                configuration,
                len(differences),
                margin,
                mean,
                *equivalence(differences, margin, folds),
                *probability_of_improvement([ours], [theirs]),
                _needed(mean, differences),
                _needed(margin, differences),
                _mixed(scores, place),
            )
        )
    return found


def _needed(effect: float, differences: Float[np.ndarray, " S"]) -> float | None:
    """Pairs that it takes to find an effect at the spread of these differences."""
    std = float(differences.std(ddof=1))
    return math.nan if math.isnan(std) or without_spread(differences) else repeats_needed(effect, std)


def equivalence(differences: Float[np.ndarray, " S"], margin: float, folds: int = 1) -> tuple[float, float, float]:
    """P(μ < -margin), P(-margin <= μ <= margin) and P(μ > margin) for the mean difference μ.

    Under the usual flat prior the posterior of μ is Student's t about the mean, with n - 1 degrees of freedom and scale
    std √(1 / n + 1 / (folds - 1)); the second term, for training sets that overlap, only in a cross-validation. It is
    the Bayesian correlated t test of Corani and Benavoli, "A Bayesian approach for comparing cross-validated
    algorithms on multiple data sets", Machine Learning 100 (2015). Differences without spread have no probability.
    """
    n, mean, std = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    if without_spread(differences):
        return math.nan, math.nan, math.nan
    overlap = 1 / (folds - 1) if folds > 1 else 0.0
    below, up_to = stats.t.cdf([-margin, margin], n - 1, loc=mean, scale=std * math.sqrt(1 / n + overlap)).tolist()
    return below, up_to - below, 1 - up_to


def probability_of_improvement(
    ours: Sequence[Float[np.ndarray, " S"]], theirs: Sequence[Float[np.ndarray, " S"]]
) -> tuple[float, float, float]:
    """P(X > Y) with ties counted half, over all pairs of repeats, then the mean over data sets; 95 % interval.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021 (rliable): the
    interval is the percentile bootstrap that resamples the repeats of either side within each data set; of one repeat
    there is none. Where a score is no number neither is any of the three.
    """
    if not all(np.isfinite(z).all() for z in (*ours, *theirs)):
        return math.nan, math.nan, math.nan
    point, drawn = 0.0, np.zeros(RESAMPLES)
    shares = _shares(tuple(len(z) for pair in zip(ours, theirs, strict=True) for z in pair))
    for x, y, left, right in zip(ours, theirs, shares[::2], shares[1::2], strict=True):
        wins = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
        point += float(wins.mean())
        drawn += np.einsum("bi,ij,bj->b", left, wins, right, optimize=True)
    low = high = math.nan
    if min(len(z) for z in (*ours, *theirs)) > 1:
        low, high = np.quantile(drawn / len(ours), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return point / len(ours), low, high


@functools.lru_cache(maxsize=8)
def _shares(sizes: tuple[int, ...]) -> list[Float[np.ndarray, "B S"]]:
    """How often each of so many repeats is drawn in each resample, as a share: the same for every configuration."""
    rng = np.random.default_rng(0)
    return [rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) / size for size in sizes]


def _mixed(scores: Scores, place: int) -> Mixed:
    if scores.images is None or scores.baseline is None:
        return NOT_FITTED
    values = scores.images.values
    return fit_mixed(values[place] - values[scores.baseline])
