"""Differences to the baseline, pair by pair: against hand-worked cases, the libraries, and enumeration."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
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
