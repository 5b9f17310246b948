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

    def test_relative_to_0_is_no_number(self) -> None:
        records = scored({"variance": [0.7, 0.71, 0.72], "fixed": [0.5, 0.4, 0.0]})
        found = verdict(records, {**self.TEST, "relative": True})
        assert (found.outcome, found.reason) == (NOT_TESTED, "a score is no finite number")

    def test_differences_without_spread_decide_nothing(self) -> None:
        found = verdict(scored({"variance": [0.75, 0.80], "fixed": [0.70, 0.75]}), self.TEST)
        assert (found.outcome, found.reason) == (NOT_TESTED, "its values have no spread")
        assert found.cells[0].effect == pytest.approx(5)

    @pytest.mark.parametrize("ours", [HIGHER, SIMILAR, LOWER])
    def test_fewer_tests_than_needed_are_undecided(self, ours: np.ndarray) -> None:
        found = verdict(against_fixed(ours), {**self.TEST, "need": 2})
        assert (found.outcome, found.reason) == (UNDECIDED, "one test, fewer than the 2 needed on a data set")

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

    def test_the_best_distance_is_the_smallest(self) -> None:
        """Ours at 5 and 15 px, theirs at 10: the one at 5 is picked, five less."""
        distances = {"mad": [15, 15.2, 15.1, 14.8], "variance": [5, 5.1, 5.2, 4.9], "fixed": [10, 10.3, 10.1, 10.2]}
        records = scored(distances, metric="hd95")
        ours = {"ours": {"weighting": ["variance", "mad"]}, "rivals": {"weighting": "fixed"}}
        test = {"kind": "difference", "by": "best", "direction": "below", **ours}
        found = verdict(records, test, metrics="hd95")
        assert found.outcome is SUPPORTED
        assert found.cells[0].effect == pytest.approx(-5.1)
        for record in records:
            record.validation = {"per_image": {"dice": 0.5}}
        found = verdict(records, test, metrics="hd95")
        assert found.outcome is NOT_TESTED
        assert found.reason == "no configuration has a finite score to select it by"

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

    def test_seeds_on_one_fold_are_one_repeat(self) -> None:
        """Differences of seeds 0 and 1 by fold: (4, 6), (5, 7), (9, 5) points. Their means are 5, 6 and 7."""
        records = [
            with_score(value, seed, weighting=name, split=f"fold:{fold}")
            for name, folds in (("variance", [(0.64, 0.76), (0.65, 0.77), (0.69, 0.75)]), ("fixed", [(0.6, 0.7)] * 3))
            for fold, values in enumerate(folds)
            for seed, value in enumerate(values)
        ]
        cell = verdict(records, self.TEST).cell
        assert cell is not None
        assert (cell.effect, cell.n) == (pytest.approx(6), 3)
        assert cell.p == pytest.approx(stats.ttest_1samp([5, 6, 7], 0).pvalue)
        anova = verdict(records, {"kind": "anova"}).cell
        assert anova is not None
        assert anova.effect == pytest.approx(stats.ttest_1samp([5, 6, 7], 0).statistic ** 2)

    def test_seeds_of_one_split_are_repeats(self) -> None:
        records = [
            with_score(float(value), seed, weighting=name, split="fold:0")
            for name, values in (("variance", HIGHER), ("fixed", BASE))
            for seed, value in enumerate(values)
        ]
        assert verdict(records, self.TEST).cells[0].n == 5

    def test_nothing_to_compare_is_said(self) -> None:
        found = verdict(scored({"variance": BASE.tolist()}), self.TEST)
        assert found.outcome is NOT_TESTED
        assert found.reason == "no trials to compare: no configuration has weighting fixed"

    def test_a_score_that_is_no_number_is_not_tested(self) -> None:
        assert verdict(against_fixed(np.full(5, np.nan)), self.TEST).outcome is NOT_TESTED

    def test_seeds_that_are_not_shared_are_the_reason(self) -> None:
        records = [with_score(0.7, seed, weighting="variance" if seed < 3 else "fixed") for seed in range(6)]
        assert (
            verdict(records, self.TEST).reason == "a spread needs two repeats or more, shared by all that is compared"
        )


class TestHolds:
    TEST: ClassVar[dict[str, Any]] = {"kind": "holds", **MINE_AND_FIXED, "number": {"dice": 5.0}}

    @pytest.mark.parametrize(
        ("number", "outcome"), [(5.0, SUPPORTED), (8.0, CONTRADICTED), (-5.0, CONTRADICTED), (0.5, CONTRADICTED)]
    )
    def test_verdict(self, number: float, outcome: Outcome) -> None:
        assert verdict(against_fixed(HIGHER), {**self.TEST, "number": {"dice": number}}).outcome is outcome

    def test_a_printed_loss(self) -> None:
        """The interval is -5.79 to -4.21."""
        found = [verdict(against_fixed(LOWER), {**self.TEST, "number": {"dice": number}}) for number in (-5.0, 5.0)]
        assert [one.outcome for one in found] == [SUPPORTED, CONTRADICTED]
        assert [one.cells[0].favour for one in found] == [True, False]

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

    @pytest.mark.parametrize(("pair", "outcome"), [(5.0, SUPPORTED), (15.0, CONTRADICTED)])
    def test_the_better_member_has_the_smaller_distance(self, pair: float, outcome: Outcome) -> None:
        losses = {("dice",): 10 + WOBBLE, ("focal",): 20 - WOBBLE, ("dice", "focal"): pair + 2 * WOBBLE}
        records = [r for names, v in losses.items() for r in scored({"fixed": v.tolist()}, metric="hd95", losses=names)]
        found = verdict(records, {"kind": "fusion"}, metrics="hd95")
        assert found.outcome is outcome
        assert found.cells[0].effect == pytest.approx(pair - 10)

    @pytest.mark.parametrize(("off", "times"), [(0.01, 1), (-0.01, 2)])
    def test_against_the_claim_p_is_doubled_for_the_member_that_was_picked(self, off: float, times: int) -> None:
        pair = BASE + off + WOBBLE
        losses = {("dice",): BASE, ("focal",): BASE - 0.2, ("dice", "focal"): pair}
        records = [r for names, values in losses.items() for r in scored({"fixed": values.tolist()}, losses=names)]
        assert verdict(records, {"kind": "fusion"}).cells[0].p == pytest.approx(
            times * stats.ttest_rel(pair, BASE).pvalue
        )


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

    def test_repeats_for_a_welch_test_of_unequal_spreads(self) -> None:
        """Gains 6 ± s and 5 ± 3 s: degrees (s^2 + 9 s^2)^2 / (s^4 + 81 s^4) (n - 1) = 100 / 82 (n - 1)."""
        there = [changed(record, dataset="ph2") for record in against_fixed(BASE + 0.06 + WOBBLE)]
        found = verdict(there + against_fixed(BASE + 0.05 + 3 * WOBBLE), self.TEST)
        ratio = 1 / (np.std(100 * WOBBLE, ddof=1) * np.sqrt(10))

        def power(n: int) -> float:
            degrees = 100 / 82 * (n - 1)
            return float(stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, ratio * np.sqrt(n)))

        assert found.needed is not None
        assert power(found.needed - 1) < 0.8 <= power(found.needed)

    def test_gains_without_spread_and_of_no_shared_seeds_are_not_tested(self) -> None:
        still = verdict(self.records(BASE + 0.1), self.TEST)
        assert still.reason == "its values have no spread"
        apart = [
            changed(record, seed=record.spec.seed + 5 * (record.spec.weighting == "fixed"))
            for record in against_fixed(SIMILAR)
        ]
        found = verdict(self.records(SIMILAR)[:10] + apart, self.TEST)
        assert found.reason == "a spread needs two repeats or more, shared by all that is compared"

    def test_a_gain_in_a_distance_is_its_fall(self) -> None:
        """It falls by 5 px on ph2 and by 1 elsewhere."""
        records = [
            record
            for dataset, fall in (("ph2", 5), ("phantom", 1))
            for record in scored(
                {"variance": (10 - fall + WOBBLE).tolist(), "fixed": (10 + 0 * BASE).tolist()}, "hd95", dataset=dataset
            )
        ]
        found = verdict(records, self.TEST, metrics="hd95")
        assert found.outcome is SUPPORTED
        assert found.cells[0].effect == pytest.approx(4)

    def test_one_data_set_is_not_enough(self) -> None:
        assert verdict(against_fixed(HIGHER), self.TEST).reason.startswith("it needs ph2 and another data set")
