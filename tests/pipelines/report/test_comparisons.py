"""Differences to the baseline: against hand-worked cases, the libraries, and studies in which nothing happens."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

from dmf.training.spec import TrialSpec
from pipelines.papers.inference import holm
from pipelines.report.layout import lay_out
from pipelines.report.statistics.comparisons import (
    Comparison,
    bootstrap_intervals,
    compare,
    effect_sizes,
    independent,
    paired_tests,
    signed_rank_p,
)
from pipelines.report.tables import build_tables
from tests.support.report_trials import BASE, Score, make_facts, records_of


def exact_signed_rank_p(differences: np.ndarray) -> float:
    """Of all sign patterns of the ranks, the share that is as far from the middle as the observed one."""
    ranks = stats.rankdata(abs(differences))
    sums = np.array([*itertools.product((0, 1), repeat=len(ranks))]) @ ranks
    far = abs(ranks[differences > 0].sum() - ranks.sum() / 2)
    return float(np.mean(abs(sums - ranks.sum() / 2) >= far - 1e-9))


BASELINE = "fixed · none"
FACTS = {"phantom": make_facts()}


def pair_of(seed: int, **changes: Any) -> list[TrialSpec]:
    """A trial of the variance and one of the baseline."""
    return [
        dataclasses.replace(BASE, seed=seed, weighting=weighting, auxiliary=None, **changes)
        for weighting in ("variance", "fixed")
    ]


def compared(specs: Sequence[TrialSpec], score: Score) -> list[Comparison]:
    """In the Dice of each image."""
    found = compare(lay_out(records_of(specs, score), BASELINE), FACTS)
    return [one for one in found if (one.protocol, one.metric) == ("per_image", "dice")]


class TestPaired:
    def test_it_is_scipys_paired_test(self) -> None:
        ours, theirs = np.random.default_rng(7).normal(size=(2, 6, 5))
        low, high, p = paired_tests(ours - theirs)
        expected = [stats.ttest_rel(a, b) for a, b in zip(ours, theirs, strict=True)]
        assert p == pytest.approx([one.pvalue for one in expected])
        intervals = [one.confidence_interval(0.95) for one in expected]
        assert np.transpose([low, high]) == pytest.approx(np.array([(one.low, one.high) for one in intervals]))

    def test_differences_without_spread_have_an_interval_of_no_width_and_no_p(self) -> None:
        low, high, p = paired_tests(np.array([[0.1, 0.1, 0.1], [0.0, 0.0, 0.0]]))
        assert [*low, *high] == pytest.approx([0.1, 0, 0.1, 0])
        assert np.isnan(p).all()
        assert np.isnan(effect_sizes(np.array([[0.1, 0.1, 0.1]]))).all()

    def test_signed_ranks_are_those_of_scipy_without_the_zeros(self) -> None:
        rows = np.array([[1.0, 2, 3, -4, 5], [0, 1, 2, 3, 0], [0, 0, 0, 0, 0], [1, math.nan, 1, 1, 1]])
        p = signed_rank_p(rows)
        assert p[0] == stats.wilcoxon(rows[0]).pvalue
        assert p[1] == stats.wilcoxon([1, 2, 3]).pvalue == 0.25
        assert p[2] == 1
        assert math.isnan(p[3])

    def test_signed_ranks_do_not_depend_on_what_stands_beside_them(self) -> None:
        """Of 14 the exact p is used where nothing ties; ties in another row change nothing."""
        plain = np.random.default_rng(0).normal(0.5, 1, 14)
        tied = np.array([1.0, 1, 1, 2, 2, -1, 2, 1, 3, -2, 1, 2, 1, 1])
        alone, beside = signed_rank_p(plain[None])[0], signed_rank_p(np.array([plain, tied]))
        assert beside[0] == alone == pytest.approx(exact_signed_rank_p(plain))
        assert beside[1] == signed_rank_p(tied[None])[0]

    def test_the_bootstrap_gives_every_configuration_the_same_seeds(self) -> None:
        row = np.random.default_rng(7).normal(size=5)
        low, high = bootstrap_intervals(np.array([row, row + 1]))
        assert low[1] - low[0] == pytest.approx(1)
        assert high[1] - high[0] == pytest.approx(1)
        assert bootstrap_intervals(row[None])[0] == pytest.approx(low[:1])


class TestHolm:
    def test_it_is_statsmodels(self) -> None:
        p = np.random.default_rng(7).uniform(size=20) ** 4
        assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


class TestEffectSize:
    def test_by_hand(self) -> None:
        # 10, 12, 8: mean 10, standard deviation 2, d = 5; J(2) = Γ(1) / Γ(1/2) = 1 / √π.
        effect, low, high = effect_sizes(np.array([[10.0, 12.0, 8.0]]))
        assert effect == pytest.approx(5 / math.sqrt(math.pi))
        assert low < effect < high

    def test_the_interval_holds_the_effects_under_which_the_observed_t_is_no_surprise(self) -> None:
        differences = np.random.default_rng(7).normal(0.5, 1, size=(1, 6))
        _, low, high = effect_sizes(differences)
        t = float(stats.ttest_1samp(differences[0], 0).statistic)
        correction = math.gamma(2.5) / (math.sqrt(2.5) * math.gamma(2))
        for end, tail in ((low, 0.975), (high, 0.025)):
            shift = optimize.brentq(lambda nc, tail=tail: stats.nct.cdf(t, 5, nc) - tail, -20, 20)
            assert end[0] == pytest.approx(correction * shift / math.sqrt(6), rel=1e-5)

    @pytest.mark.parametrize(
        ("differences", "g", "low", "high"),
        [
            # d = 5.00005 / (0.0001 / √2). Of large t the ends are d √(χ²_q(n - 1) / (n - 1)), here of one degree.
            ((5.0, 5.0001), 70711, 2216, 158_500),
            # J(2) = 1 / √π, d = 5 / 1e-6, and χ² of two degrees is -2 log(1 - q): d √0.0253, d √3.689.
            ((5, 5 + 1e-6, 5 - 1e-6), 2_820_948, 448_860, 5_418_000),
        ],
    )
    def test_however_large_it_lies_in_its_interval(
        self, differences: tuple[float, ...], g: float, low: float, high: float
    ) -> None:
        found = effect_sizes(np.array([differences]))
        assert [one[0] for one in found] == pytest.approx([g, low, high], rel=2e-3)


class TestFolds:
    def test_of_each_fold_the_mean_over_its_seeds_is_one_difference(self) -> None:
        """By hand: fold 0 has +2 and +4 points, fold 1 has +1 and +3, fold 2 -1 and +1."""
        gains = dict(zip(itertools.product((0, 1), range(3)), (2, 1, -1, 4, 3, 1), strict=True))
        specs = [spec for seed, fold in gains for spec in pair_of(seed, split=f"fold:{fold}")]

        def score(spec: TrialSpec) -> float:
            return 0.7 + (spec.weighting == "variance") * gains[spec.seed, int(spec.split[-1])] / 100

        (found,) = compared(specs, score)
        assert found.differences == pytest.approx((3, 2, 0))
        assert found.p_t == pytest.approx(stats.ttest_1samp([3, 2, 0], 0).pvalue)
        (alone,) = compared([spec for spec in specs if spec.split == "fold:0"], score)
        assert alone.differences == pytest.approx((2, 4)), "of one fold the seeds are the repeats"
        (table, *_) = build_tables(
            lay_out(records_of(specs, score), BASELINE),
            FACTS,
            {("phantom", "reference", "dice", found.configuration): 1},
        )
        assert "the seeds of a fold are averaged first" in table.caption

    def test_5_times_3_trainings_are_wrong_in_5_of_100_null_studies(self) -> None:
        """Where what a fold says of two configurations is as large as the luck of a training, 15 pairs are wrong in
        18 of 100.
        """
        repeats = [(seed, f"fold:{fold}") for seed in range(3) for fold in range(5)]
        rng = np.random.default_rng(0)
        drawn = rng.normal(size=(4000, 1, 5)) + rng.normal(size=(4000, 3, 5))
        differences = drawn.reshape(4000, 15)
        _, _, p = paired_tests(independent(repeats, differences))
        assert np.mean(p < 0.05) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 4000))
        assert np.mean(paired_tests(differences)[2] < 0.05) > 0.15


class TestRowsThatDiffer:
    @pytest.mark.parametrize("noisy", ["variance", "fixed"])
    def test_a_row_without_noisy_test_images_is_compared_in_what_it_has(self, noisy: str) -> None:
        specs = [
            dataclasses.replace(spec, test_noise=(0.1,)) if spec.weighting == noisy else spec
            for seed in (0, 1)
            for spec in pair_of(seed)
        ]
        layout = lay_out(records_of(specs), BASELINE)
        assert {one.protocol for one in compare(layout, FACTS)} == {"reference", "per_image", "pooled"}
        (table,) = [one for one in build_tables(layout, FACTS) if one.protocol == "per_image@noise=0.1"]
        places = {layout.rows["phantom"][place].spec.weighting: place for place in (0, 1)}
        shown = [str(line.entries[0]) for line in table.lines]
        assert shown[places[noisy]] != shown[1 - places[noisy]] == "n/a"


class TestErrors:
    """The procedure of every comparison table: paired t tests of all configurations, Holm-corrected."""

    STUDIES, SEEDS, OTHERS = 2000, 5, 12

    def clear(self, lift: float) -> np.ndarray:
        """(studies, others): which differences to the baseline are called clear; the first configuration has `lift`.

        Scores have a part of the seed, which pairing removes, and luck of standard deviation 1.
        """
        rng = np.random.default_rng(2026)
        scores = rng.normal(size=(self.STUDIES, self.OTHERS + 1, self.SEEDS)) + rng.normal(
            size=(self.STUDIES, 1, self.SEEDS)
        )
        scores[:, 0] += lift
        differences = scores[:, :-1] - scores[:, -1:]
        _, _, p = paired_tests(differences.reshape(-1, self.SEEDS))
        return np.array([holm(family) for family in p.reshape(self.STUDIES, -1).tolist()]) < 0.05

    def test_at_most_5_percent_of_null_studies_have_a_false_positive(
        self, record_property: Callable[[str, object], None]
    ) -> None:
        rate = float(self.clear(0).any(axis=1).mean())
        record_property("false positives", rate)
        print(f"studies with a false positive, of {self.STUDIES}: {rate:.2%}")
        assert rate <= 0.05

    def test_its_power(self, record_property: Callable[[str, object], None]) -> None:
        power = {lift: float(self.clear(lift)[:, 0].mean()) for lift in (1.0, 2.0, 4.0, 8.0)}
        record_property("power", power)
        print("power by true difference in standard deviations of one score:", power)
        assert sorted(power.values()) == [*power.values()]
        assert power[8.0] > 0.8
