"""Kinds of test that compare configurations, on trials whose verdict is known and beside scipy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

from pipelines.papers.kinds import Outcome
from tests.support.hand_records import HandRecord, changed, scored, with_score
from tests.support.hand_verdicts import (
    BASE,
    HIGHER,
    LOWER,
    MINE_AND_FIXED,
    SIMILAR,
    WOBBLE,
    against_fixed,
    verdict,
)

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTED = Outcome


class TestDifference:
    TEST: ClassVar[dict[str, Any]] = {"kind": "difference", **MINE_AND_FIXED}

    @pytest.mark.parametrize(
        ("ours", "outcome"),
        [(HIGHER, SUPPORTED), (LOWER, CONTRADICTED), (SIMILAR, UNDECIDED), (HIGHER[:1], NOT_TESTED)],
    )
    def test_verdict(self, ours: np.ndarray, outcome: Outcome) -> None:
        assert verdict(against_fixed(ours), self.TEST).outcome is outcome

    def test_effect_interval_and_p_are_those_of_scipys_paired_t_test_in_points(self) -> None:
        found = verdict(against_fixed(HIGHER), self.TEST).cell
        theirs = stats.ttest_rel(100 * HIGHER, 100 * BASE)
        interval = theirs.confidence_interval(0.95)
        assert found is not None
        assert (found.effect, found.low, found.high) == pytest.approx((5.0, interval.low, interval.high))
        assert found.p == pytest.approx(theirs.pvalue)
        assert (found.n, found.unit) == (5, "points")

    def test_below_turns_it_round(self) -> None:
        test = {**self.TEST, "direction": "below"}
        assert verdict(against_fixed(LOWER), test).outcome is SUPPORTED
        assert verdict(against_fixed(HIGHER), test).outcome is CONTRADICTED

    def test_relative_to_a_bound(self) -> None:
        test = {**self.TEST, "relative": True, "direction": "below", "bound": 2}
        assert verdict(against_fixed(1.01 * BASE * (1 + WOBBLE / 10)), test).outcome is SUPPORTED  # 1 % more
        assert verdict(against_fixed(1.03 * BASE * (1 + WOBBLE / 10)), test).outcome is CONTRADICTED

    def test_every_cell_has_to_hold_and_one_clear_one_contradicts(self) -> None:
        rivals = {"kind": "difference", "ours": {"weighting": "variance"}, "rivals": {"weighting": ["fixed", "mad"]}}
        both = scored({"variance": HIGHER.tolist(), "fixed": BASE.tolist(), "mad": (BASE - 0.01).tolist()})
        one = scored({"variance": HIGHER.tolist(), "fixed": BASE.tolist(), "mad": (HIGHER + WOBBLE / 5).tolist()})
        none = scored(
            {"variance": HIGHER.tolist(), "fixed": BASE.tolist(), "mad": (HIGHER + 0.03 + WOBBLE / 2).tolist()}
        )
        assert [verdict(records, rivals).outcome for records in (both, one, none)] == [
            SUPPORTED,
            UNDECIDED,
            CONTRADICTED,
        ]

    def test_holm_over_the_cells_of_the_claim(self) -> None:
        ours = (BASE + np.array([0.001, 0.02, 0.015, 0.004, 0.021])).tolist()  # p = .029 alone
        names = ["fixed", "mad", "bayesian"]
        records = scored({"variance": ours} | dict.fromkeys(names, BASE.tolist()))
        test = {"kind": "difference", "ours": {"weighting": "variance"}, "rivals": {"weighting": names}}
        alone = verdict(records, {**test, "rivals": {"weighting": "fixed"}})
        assert alone.outcome is SUPPORTED
        assert verdict(records, test).outcome is UNDECIDED
        assert verdict(records, test, correction="none").outcome is SUPPORTED
        assert alone.cell is not None
        assert verdict(records, test).cells[0].p == pytest.approx(3 * alone.cell.p)

    def test_pairs_agree_in_everything_that_is_not_compared(self) -> None:
        records = against_fixed(HIGHER) + scored(
            {"variance": LOWER.tolist(), "fixed": LOWER.tolist()}, model="transunet"
        )
        labels = [cell.label for cell in verdict(records, self.TEST).cells]
        assert len(labels) == 2
        assert all(label.count("transunet") in (0, 2) for label in labels)

    def test_best_by_validation_is_picked_without_the_test_images(self) -> None:
        records = scored({"variance": LOWER.tolist(), "mad": HIGHER.tolist(), "fixed": BASE.tolist()})
        for record in records:  # validation prefers what is worse on test
            record.validation = {"per_image": {"dice": 1 - record.test["per_image"]["dice"]}}
        test = {
            "kind": "difference",
            "by": "best",
            "ours": {"weighting": ["variance", "mad"]},
            "rivals": {"weighting": "fixed"},
        }
        assert verdict(records, test).outcome is CONTRADICTED

    def test_means_of_groups(self) -> None:
        records = scored({"variance": HIGHER.tolist(), "mad": LOWER.tolist(), "fixed": BASE.tolist()})
        test = {
            "kind": "difference",
            "by": "mean",
            "ours": {"weighting": ["variance", "mad"]},
            "rivals": {"weighting": "fixed"},
        }
        cell = verdict(records, test).cell
        assert cell is not None
        assert cell.effect == pytest.approx(0, abs=1e-9)

    def test_seeds_that_would_decide_it(self) -> None:
        found = verdict(against_fixed(SIMILAR), self.TEST)
        assert found.cell is not None
        d = 0.1 / np.std(100 * WOBBLE, ddof=1)  # of 0.1 points
        assert found.needed is not None
        assert found.needed == pytest.approx((2.8 / d) ** 2, rel=0.05)  # the normal approximation: (1.96 + 0.84)^2

    def test_folds_and_splits_of_a_seed_are_repeats(self) -> None:
        records = [
            with_score(float(value), 0, weighting=name, split=f"fold:{place}")
            for name, values in (("variance", HIGHER), ("fixed", BASE))
            for place, value in enumerate(values)
        ]
        found = verdict(records, self.TEST)
        assert (found.outcome, found.cell.n if found.cell else 0) == (SUPPORTED, 5)

    def test_nothing_to_compare_is_said(self) -> None:
        found = verdict(scored({"variance": BASE.tolist()}), self.TEST)
        assert found.outcome is NOT_TESTED
        assert found.reason == "no trials to compare: no configuration has weighting fixed"

    def test_a_score_that_is_no_number_is_not_tested(self) -> None:
        assert verdict(against_fixed(np.full(5, np.nan)), self.TEST).outcome is NOT_TESTED


class TestHolds:
    TEST: ClassVar[dict[str, Any]] = {"kind": "holds", **MINE_AND_FIXED, "number": {"dice": 5.0}}

    @pytest.mark.parametrize(
        ("number", "outcome"), [(5.0, SUPPORTED), (8.0, CONTRADICTED), (-5.0, CONTRADICTED), (0.5, CONTRADICTED)]
    )
    def test_verdict(self, number: float, outcome: Outcome) -> None:
        assert verdict(against_fixed(HIGHER), {**self.TEST, "number": {"dice": number}}).outcome is outcome

    def test_an_interval_that_holds_0_as_well_says_nothing(self) -> None:
        wide = BASE + 0.05 + 10 * WOBBLE
        assert verdict(against_fixed(wide), self.TEST).outcome is UNDECIDED


class TestFusion:
    @pytest.mark.parametrize(("pair", "outcome"), [(HIGHER, SUPPORTED), (SIMILAR, UNDECIDED), (LOWER, CONTRADICTED)])
    def test_a_pair_against_its_better_member(self, pair: np.ndarray, outcome: Outcome) -> None:
        losses = {("dice",): BASE, ("focal",): BASE - 0.2, ("dice", "focal"): pair, ("mse",): BASE + 0.2}
        records = [r for names, values in losses.items() for r in scored({"fixed": values.tolist()}, losses=names)]
        found = verdict(records, {"kind": "fusion"})
        assert (found.outcome, len(found.cells)) == (outcome, 1)


class TestGain:
    TEST: ClassVar[dict[str, Any]] = {"kind": "gain", "dataset": "ph2", **MINE_AND_FIXED}

    def records(self, elsewhere: np.ndarray) -> list[HandRecord]:
        there = [changed(record, dataset="ph2") for record in against_fixed(HIGHER)]
        return there + against_fixed(elsewhere)

    @pytest.mark.parametrize(
        ("elsewhere", "outcome"), [(SIMILAR, SUPPORTED), (HIGHER + WOBBLE, UNDECIDED), (HIGHER + 0.1, CONTRADICTED)]
    )
    def test_verdict(self, elsewhere: np.ndarray, outcome: Outcome) -> None:
        assert verdict(self.records(elsewhere), self.TEST).outcome is outcome

    def test_it_is_scipys_welch_test(self) -> None:
        cell = verdict(self.records(SIMILAR), self.TEST).cell
        theirs = stats.ttest_ind(100 * (HIGHER - BASE), 100 * (SIMILAR - BASE), equal_var=False)
        assert cell is not None
        assert cell.p == pytest.approx(theirs.pvalue)

    def test_one_data_set_is_not_enough(self) -> None:
        assert verdict(against_fixed(HIGHER), self.TEST).reason.startswith("it needs ph2 and another data set")


class TestFirst:
    TEST: ClassVar[dict[str, Any]] = {"kind": "first", "ours": {"weighting": "variance"}}

    @pytest.mark.parametrize(("ours", "outcome"), [(HIGHER, SUPPORTED), (SIMILAR, UNDECIDED), (LOWER, CONTRADICTED)])
    def test_verdict(self, ours: np.ndarray, outcome: Outcome) -> None:
        names = {"variance": ours.tolist(), "fixed": BASE.tolist(), "mad": (BASE - 0.02).tolist()}
        assert verdict(scored(names), self.TEST).outcome is outcome

    def test_the_best_of_many_others_counts_for_less(self) -> None:
        few = scored({"variance": LOWER.tolist(), "fixed": BASE.tolist()})
        more = few + scored({name: (BASE - 0.1).tolist() for name in ("mad", "bayesian", "equal")})
        one, four = (verdict(records, self.TEST).cells[0].p for records in (few, more))
        assert four == pytest.approx(4 * one)

    def test_most_metrics(self) -> None:
        records = scored({"variance": HIGHER.tolist(), "fixed": BASE.tolist()})
        for record in records:
            dice = record.test["per_image"]["dice"]
            record.test["per_image"] = {"dice": dice, "iou": dice - 0.1, "recall": 1 - dice}
        metrics = ["dice", "iou", "recall"]
        assert verdict(records, {**self.TEST, "need": 2}, metrics=metrics).outcome is SUPPORTED
        assert verdict(records, {**self.TEST, "need": 3}, metrics=metrics).outcome is CONTRADICTED


class TestEquivalent:
    TEST: ClassVar[dict[str, Any]] = {"kind": "equivalent", "within": 2}
    SEEDS = np.linspace(-1, 1, 8) / np.std(np.linspace(-1, 1, 8), ddof=1)  # deviation 1

    @pytest.mark.parametrize(("apart", "outcome"), [(0.2, SUPPORTED), (1.95, UNDECIDED), (4.0, CONTRADICTED)])
    def test_verdict(self, apart: float, outcome: Outcome) -> None:
        wobble = 0.1 * np.resize([1, -1], 8)
        values = {"fixed": self.SEEDS, "mad": self.SEEDS + apart + wobble}
        records = scored({name: (0.5 + 0.01 * scores).tolist() for name, scores in values.items()})
        found = verdict(records, self.TEST)
        assert found.outcome is outcome
        assert found.cell is not None
        assert found.cell.effect == pytest.approx(apart, abs=0.05)


class TestAnova:
    def test_verdict_and_it_never_contradicts(self) -> None:
        test = {"kind": "anova"}
        apart = scored({"variance": HIGHER.tolist(), "mad": SIMILAR.tolist(), "fixed": BASE.tolist()})
        alike = scored({"variance": SIMILAR.tolist(), "mad": (BASE + WOBBLE[::-1]).tolist(), "fixed": BASE.tolist()})
        assert [verdict(records, test).outcome for records in (apart, alike)] == [SUPPORTED, UNDECIDED]


class TestSlope:
    TEST: ClassVar[dict[str, Any]] = {"kind": "slope", "over": "model", "ours": {"model": "rfe_unet:resnet*"}}

    @pytest.mark.parametrize(("a_layer", "outcome"), [(0.001, SUPPORTED), (-0.001, CONTRADICTED), (0.00001, UNDECIDED)])
    def test_verdict_and_the_slopes_are_scipys(self, a_layer: float, outcome: Outcome) -> None:
        depths = (34, 50, 101)
        scores = {depth: BASE + a_layer * depth + np.roll(WOBBLE, depth) for depth in depths}
        records = [r for d in depths for r in scored({"fixed": scores[d].tolist()}, model=f"rfe_unet:resnet{d}")]
        found = verdict(records, self.TEST)
        slopes = [stats.linregress(depths, [100 * scores[d][seed] for d in depths]).slope for seed in range(5)]
        assert found.outcome is outcome
        assert found.cell is not None
        assert found.cell.effect == pytest.approx(np.mean(slopes))
        assert found.cells[0].p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue)
