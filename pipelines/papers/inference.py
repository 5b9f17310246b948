"""What a handful of repeats can say: intervals, corrections, and how many repeats it would take.

All intervals are two-sided; `LEVEL` is the level of those that are printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

LEVEL = 0.95
ALPHA = 1 - LEVEL
POWER = 0.8
MOST = 10_000
"""Repeats beyond which nobody would train: `repeats_needed` gives up there."""
ROUNDING = 1e-12
"""Values that differ by less, or by less than this share of themselves, differ by their rounding alone."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n repeats with its t interval; `p` tests it against 0, two-sided, and is none without spread."""

    mean: float
    low: float
    high: float
    p: float
    std: float
    n: int


def estimate(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """Student's t on n >= 2 finite values. Values without any spread have no t: p is none, low and high are the mean.

    Scores are counts over images: two seeds agree by chance all too often for that to be evidence.
    """
    sample = np.asarray(values, dtype=float)
    n, mean, std = len(sample), float(sample.mean()), float(sample.std(ddof=1))
    if without_spread(sample):
        return Estimate(mean, mean, mean, math.nan, 0.0, n)
    error = std / math.sqrt(n)
    reach = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, 2 * float(stats.t.sf(abs(mean) / error, n - 1)), std, n)


def without_spread(values: np.ndarray) -> np.ndarray:
    """Whether values along the last axis are the same but for their rounding."""
    return np.ptp(values, axis=-1) <= ROUNDING * np.maximum(1, np.abs(values).max(axis=-1))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: sorted p_(k) becomes max over j <= k of min(1, (m - j + 1) p_(j)).

    A p that is no number stays so and does not count towards m. statsmodels' `multipletests` says the same, and
    collects all of Python's garbage at every call: half a second for each of a report's hundreds of families.
    """
    corrected = [math.nan] * len(p)
    tested = sorted((index for index, value in enumerate(p) if math.isfinite(value)), key=lambda index: p[index])
    highest = 0.0
    for rank, index in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p[index]))
        corrected[index] = highest
    return corrected


def repeats_needed(effect: float, std: float, alpha: float = ALPHA, freedom: float = 1) -> int | None:
    """The fewest repeats with which a two-sided t test finds `effect` at `std` with 80 % power; None above `MOST`.

    Args:
        freedom: Degrees of freedom that each repeat but the first adds; 1 to 2 in Welch's test.
    """
    if abs(effect) <= ROUNDING or not math.isfinite(effect) or not math.isfinite(std):
        return None

    def power(n: int) -> float:
        degrees = freedom * (n - 1)
        critical = special.stdtrit(degrees, 1 - alpha / 2)
        shift = min(abs(effect) / max(std, ROUNDING) * math.sqrt(n), 3 * critical)  # 99 % power; nan far beyond
        return float(1 - special.nctdtr(degrees, shift, critical))  # stats.nct takes twenty times as long

    return fewest(power)


def proportion_repeats_needed(share: float, alpha: float = ALPHA) -> int | None:
    """The fewest trials with which the exact two-sided test against one half finds `share` with 80 % power.

    The power of a test of counts falls wherever one more trial asks for no fewer misses, so every n is looked at.
    """
    n = np.arange(1, MOST + 1)
    most = stats.binom.ppf(alpha / 2, n, 0.5) - 1  # the largest count k with P(K <= k) < alpha / 2
    power = stats.binom.cdf(most, n, share) + stats.binom.cdf(most, n, 1 - share)
    enough = np.flatnonzero(power >= POWER)
    return int(n[enough[0]]) if enough.size else None


def repeated_measures(scores: np.ndarray) -> tuple[float, float, float]:
    """F, p and Greenhouse-Geisser's epsilon of a repeated-measures ANOVA over (repeats, conditions).

    F = MS_conditions / MS_residual after the repeats' own level is taken out. p is that of F on degrees of freedom
    times epsilon = tr(S)^2 / ((k - 1) tr(S S)), S the double-centred covariance of the conditions: without it
    differences of unequal variance would look clearer than they are. Without a residual there is no F.
    """
    n, k = scores.shape
    centred = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    between = n * float(((scores.mean(0) - scores.mean()) ** 2).sum()) / (k - 1)
    within = float((centred**2).sum()) / ((k - 1) * (n - 1))
    if within <= (ROUNDING * max(1.0, float(np.abs(scores).max()))) ** 2:
        return math.nan, math.nan, math.nan
    covariance = np.cov(scores, rowvar=False)
    middle = np.eye(k) - 1 / k
    double = middle @ covariance @ middle
    epsilon = float(np.trace(double) ** 2 / ((k - 1) * (double**2).sum()))
    epsilon = min(1.0, max(epsilon, 1 / (k - 1)))
    f = between / within
    return f, float(stats.f.sf(f, epsilon * (k - 1), epsilon * (k - 1) * (n - 1))), epsilon


def anova_repeats_needed(f: float, n: int, k: int, epsilon: float, alpha: float = ALPHA) -> int | None:
    """The fewest repeats with which the ANOVA finds the observed F's effect (above chance) with 80 % power."""
    effect = max(0.0, f - 1) * (k - 1) * epsilon / n
    if effect == 0:
        return None

    def power(repeats: int) -> float:
        above, below = epsilon * (k - 1), epsilon * (k - 1) * (repeats - 1)
        return float(stats.ncf.sf(stats.f.ppf(1 - alpha, above, below), above, below, effect * repeats))

    return fewest(power)


def proportion_interval(hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a proportion."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def std_interval(std: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a standard deviation from n normal values."""
    tail = (1 - level) / 2
    low, high = (std * math.sqrt((n - 1) / float(stats.chi2.ppf(q, n - 1))) for q in (1 - tail, tail))
    return low, high


def rank_correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float, float]:
    """Spearman's r, Bonett and Wright's interval, and p: artanh r has variance (1 + r^2 / 2) / (n - 3)."""
    n = len(one)
    if n < 5 or without_spread(one) or without_spread(other):
        return math.nan, math.nan, math.nan, math.nan
    r = float(stats.spearmanr(one, other).statistic)
    z = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r)))
    error = math.sqrt((1 + r**2 / 2) / (n - 3))
    reach = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
    return r, math.tanh(z - reach), math.tanh(z + reach), 2 * float(stats.norm.sf(abs(z) / error))


def fewest(power: Callable[[int], float]) -> int | None:
    """The smallest n from 2 to `MOST` whose power is at least 80 %, for a power that grows with n, or None."""
    low, high = 1, 2
    while high < MOST and not power(high) >= POWER:  # nan counts as too little
        low, high = high, min(2 * high, MOST)
    if not power(high) >= POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
