"""The arithmetic of a verdict, beside scipy where scipy has it and beside textbooks where it has not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pipelines.papers.inference import (
    anova_repeats_needed,
    estimate,
    holm,
    proportion_interval,
    proportion_repeats_needed,
    rank_correlation,
    repeated_measures,
    repeats_needed,
    std_interval,
)
from pipelines.papers.shapes import area, irregularity

RNG = np.random.default_rng(0)


def test_t_interval_and_p_are_those_of_scipy() -> None:
    values = RNG.normal(0.5, 1, 8)
    ours, theirs = estimate(values.tolist()), stats.ttest_1samp(values, 0)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high, ours.p) == pytest.approx((interval.low, interval.high, theirs.pvalue))


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [0.0, 0.0], [0.3 - 0.1, 0.4 - 0.2, 0.5 - 0.3]])
def test_values_without_spread_have_no_p(values: list[float]) -> None:
    found = estimate(values)
    assert math.isnan(found.p)
    assert (found.low, found.high, found.std) == (found.mean, found.mean, 0)


def test_holm_by_hand() -> None:
    # Sorted .01, .03, .04: 3 * .01 = .03, 2 * .03 = .06, 1 * .04 -> at least .06.
    assert holm([0.04, 0.01, 0.03, math.nan]) == pytest.approx([0.06, 0.03, 0.06, math.nan], nan_ok=True)


@pytest.mark.parametrize(("effect", "needed"), [(0.5, 34), (0.8, 15), (0.2, 199), (1.0, 10)])
def test_repeats_for_80_percent_power_are_the_textbooks(effect: float, needed: int) -> None:
    """Cohen's d of paired differences, two-sided 5 %: what every table of power for the paired t test prints."""
    assert repeats_needed(effect, 1.0) == needed


@pytest.mark.parametrize(("effect", "std"), [(0.2, 4.8e-17), (5.0, 8e-14), (5.0, 1e-9), (0.2, 0.001), (5.0, 0.0)])
def test_two_repeats_are_enough_where_they_hardly_differ(effect: float, std: float) -> None:
    """With n = 2 the critical t is 12.7: the mean is that many standard errors away."""
    assert repeats_needed(effect, std) == 2


@pytest.mark.parametrize(("effect", "needed"), [(1.0, 9), (2.0, 4), (3.0, 3)])
def test_repeats_for_welchs_test(effect: float, needed: int) -> None:
    """Two samples of equal variance, `effect` in deviations of a difference: 2 (n - 1) degrees, by scipy's power."""
    assert repeats_needed(effect, 1.0, freedom=2) == needed
    power = [
        stats.nct.sf(stats.t.ppf(0.975, 2 * n - 2), 2 * n - 2, effect * math.sqrt(n)) for n in (needed - 1, needed)
    ]
    assert power[0] < 0.8 <= power[1]


@pytest.mark.parametrize("share", [0.7, 0.65, 0.6, 0.2, 1.0])
def test_trials_for_a_proportion_are_the_fewest_by_enumeration(share: float) -> None:
    def power(n: int) -> float:
        clear = [k for k in range(n + 1) if stats.binomtest(k, n).pvalue < 0.05]
        return float(stats.binom.pmf(clear, n, share).sum())

    found = proportion_repeats_needed(share)
    assert found == {0.7: 49, 0.65: 90, 0.6: 199, 0.2: 20, 1.0: 6}[share]
    assert power(found) >= 0.8
    assert not any(power(n) >= 0.8 for n in range(1, found))


def test_no_number_of_trials_shows_that_a_half_is_no_half() -> None:
    assert proportion_repeats_needed(0.5) is None


def test_no_effect_is_never_found() -> None:
    assert repeats_needed(0.0, 1.0) is None
    assert repeats_needed(1e-6, 1.0) is None


def test_the_power_of_the_repeats_needed_is_80_percent_by_simulation() -> None:
    n = repeats_needed(0.7, 1.0, alpha=0.01) or 0
    found = [estimate(row).p < 0.01 for row in RNG.normal(0.7, 1.0, (3000, n)).tolist()]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_anova_of_two_conditions_is_the_paired_t_test() -> None:
    scores = RNG.normal(size=(9, 2)) + RNG.normal(size=(9, 1))
    f, p, epsilon = repeated_measures(scores)
    t = stats.ttest_rel(scores[:, 0], scores[:, 1])
    assert (f, p, epsilon) == pytest.approx((t.statistic**2, t.pvalue, 1.0))


def test_anova_by_hand() -> None:
    # Three subjects, three conditions. Grand mean 4; condition means 2, 4, 6: SS = 3 (4 + 0 + 4) = 24, MS 12.
    # Subject means 3, 4, 5. Residuals 0 0 0 / 1 -1 0 / -1 1 0: SS 4, over (2)(2): MS 1. F = 12.
    scores = np.array([[1.0, 3, 5], [3, 3, 6], [2, 6, 7]])
    f, p, epsilon = repeated_measures(scores)
    assert f == pytest.approx(12)
    assert 0.5 <= epsilon <= 1
    assert p == pytest.approx(stats.f.sf(12, 2 * epsilon, 4 * epsilon))


def test_epsilon_is_one_where_all_differences_vary_alike_and_least_where_one_does() -> None:
    subjects = RNG.normal(size=(4000, 1))
    alike = subjects + RNG.normal(size=(4000, 4))
    one = np.concatenate([subjects + 20 * RNG.normal(size=(4000, 1)), np.repeat(subjects, 3, axis=1)], axis=1)
    assert repeated_measures(alike)[2] == pytest.approx(1, abs=0.02)
    assert repeated_measures(one)[2] == pytest.approx(1 / 3, abs=0.02)


def test_anova_without_a_residual_has_no_f() -> None:
    """The second condition is the first and one more in every repeat."""
    assert all(map(math.isnan, repeated_measures(np.array([[70.0, 71], [72, 73], [75, 76]]))))


def test_more_repeats_for_a_stricter_level() -> None:
    """Two conditions, one more repeat at a time: F of the paired t test, n t'^2 = n d^2 with d = 1 (F = 1 + 5 d^2)."""
    assert [anova_repeats_needed(6.0, 5, 2, 1.0, alpha) for alpha in (0.05, 0.05 / 4)] == [
        repeats_needed(1.0, 1.0, alpha) for alpha in (0.05, 0.05 / 4)
    ]


def test_more_repeats_for_a_smaller_f() -> None:
    few, many = (anova_repeats_needed(f, 5, 4, 1.0) for f in (8.0, 2.0))
    assert few is not None
    assert many is not None
    assert few < many
    assert anova_repeats_needed(0.9, 5, 4, 1.0) is None


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 10), (10, 10)])
def test_proportions_are_those_of_scipy(hits: int, n: int) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert proportion_interval(hits, n) == pytest.approx((theirs.low, theirs.high))


def test_interval_of_a_deviation_covers_it_95_times_in_100() -> None:
    stds = RNG.normal(size=(4000, 5)).std(1, ddof=1)
    covered = [low <= 1 <= high for low, high in (std_interval(float(std), 5) for std in stds)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_rank_correlation_is_scipys_and_its_interval_covers() -> None:
    x, y = RNG.normal(size=(2, 30))
    assert rank_correlation(x, y)[0] == pytest.approx(stats.spearmanr(x, y).statistic)
    pairs = RNG.normal(size=(2000, 2, 30))
    assert np.mean([rank_correlation(a, b)[3] < 0.05 for a, b in pairs]) < 0.06


def test_shape_of_a_mask() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4, 2:6] = 1  # 8 of 64 pixels, 12 faces
    assert area(mask) == 8 / 64
    assert irregularity(mask) == pytest.approx(12 / (2 * math.sqrt(math.pi * 8)))
    assert math.isnan(area(mask * 0))
    assert math.isnan(irregularity(mask * 0))


def test_a_comb_is_more_irregular_than_a_disc_of_any_size() -> None:
    comb = np.zeros((32, 32), np.uint8)
    comb[4:28, 4:28:2] = 1
    y, x = np.mgrid[:32, :32] - 16
    assert all(irregularity(comb) > irregularity((y**2 + x**2 < r**2).astype(np.uint8)) for r in (4, 8, 12))
