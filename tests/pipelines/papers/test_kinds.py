"""Every kind of test on trials whose verdict is known, and beside scipy where scipy has the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.papers.claim import Claim
from pipelines.papers.evidence import Evidence
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import Verdict, judge
from tests.support.hand_records import HandRecord, changed, course, disc_truth, scored, with_score

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTED = Outcome
WOBBLE = np.array([-0.01, 0.004, 0.006, -0.002, 0.002])  # mean 0
BASE = np.array([0.70, 0.72, 0.69, 0.71, 0.73])
HIGHER, LOWER, SIMILAR = BASE + 0.05 + WOBBLE, BASE - 0.05 + WOBBLE, BASE + 0.001 + WOBBLE
MINE_AND_FIXED = {"ours": {"weighting": "variance"}, "rivals": {"weighting": "fixed"}}


def verdict(records: Sequence[HandRecord], test: dict[str, Any], truths: Any = None, **claim: Any) -> Verdict:
    """What these trials say about a claim with this test, on the lesion Dice of each image."""
    about = {"protocol": "per_image", "metrics": "dice"} if "measure" not in claim else {}
    made = Claim.model_validate({"id": "c", "statement": "It is so.", "study": "s", "test": test} | about | claim)
    return judge(made, "s", Evidence(tuple(records), records[0].configuration if records else "", truths or {}))


def against_fixed(ours: np.ndarray) -> list[HandRecord]:
    return scored({"variance": ours.tolist(), "fixed": BASE.tolist()})


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


class TestSpread:
    @pytest.mark.parametrize(("bound", "outcome"), [(3.0, SUPPORTED), (0.9, UNDECIDED), (0.2, CONTRADICTED)])
    def test_verdict(self, bound: float, outcome: Outcome) -> None:
        records = scored({"fixed": (0.9 + WOBBLE * 1.2).tolist()})  # deviation 0.78 points; interval 0.47 to 2.2
        assert verdict(records, {"kind": "spread", "at_most": bound}).outcome is outcome


class TestCourses:
    """Measures of the course of training, and the two kinds that look at trials one by one."""

    STEPS, EPOCHS = 100, 10

    def trials(self, losses: np.ndarray, weights: np.ndarray, n: int = 8, **columns: Any) -> list[HandRecord]:
        records = scored({"variance": [0.7] * n}, auxiliary="focal")
        rng = np.random.default_rng(0)
        for record in records:
            noise = 1 + 1e-4 * rng.normal(size=losses.shape)
            record.history = course(losses * noise, weights, self.STEPS // self.EPOCHS, **columns)
        return records

    @property
    def falling(self) -> np.ndarray:
        return np.exp(-np.arange(self.STEPS) / 8)[:, None] * np.ones(3) + 0.2

    @property
    def even(self) -> np.ndarray:
        return np.full((self.STEPS, 3), 1 / 3)

    @pytest.mark.parametrize(("auxiliary", "outcome"), [(0.01, SUPPORTED), (1.0, CONTRADICTED)])
    def test_share_of_the_auxiliary_loss(self, auxiliary: float, outcome: Outcome) -> None:
        # At the end the base losses make 0.2; gamma L_a is 0.02 or 2.
        records = self.trials(self.falling, self.even, gamma=2.0, auxiliary=auxiliary)
        for record in records:
            record.history["total"] += 2.0 * auxiliary
        found = verdict(records, {"kind": "threshold", "below": 0.5}, measure="auxiliary_share")
        assert found.outcome is outcome
        assert found.cell is not None
        assert found.cell.effect == pytest.approx(2 * auxiliary / (2 * auxiliary + 0.2), rel=0.01)

    def test_change_of_a_weight_a_step(self) -> None:
        sharp = np.resize([[0.2, 0.4, 0.4], [0.4, 0.3, 0.3]], (self.STEPS, 3))  # .2, .1, .1 a step
        records = self.trials(self.falling, sharp)
        cell = verdict(records, {"kind": "threshold", "above": 0.1}, measure="weight_change").cell
        assert cell is not None
        assert cell.effect == pytest.approx(0.4 / 3)

    def test_settled(self) -> None:
        test = {"kind": "proportion", "above": 0.5}
        one = np.where(np.arange(self.STEPS)[:, None] < 40, 1 / 3, [0.95, 0.03, 0.02])
        turns = np.where(np.arange(self.STEPS)[:, None] < 70, [0.95, 0.03, 0.02], [0.03, 0.95, 0.02])
        outcomes = [
            verdict(self.trials(self.falling, w), test, measure="settled").outcome for w in (one, turns, self.even)
        ]
        assert outcomes == [SUPPORTED, CONTRADICTED, CONTRADICTED]

    def test_three_trials_are_too_few_for_most(self) -> None:
        found = verdict(
            self.trials(self.falling, self.even, n=3), {"kind": "proportion", "below": 0.2}, measure="fluctuation"
        )
        assert found.outcome is UNDECIDED
        assert found.cell is not None
        assert (found.cell.low, found.cell.high) == pytest.approx((100 * 0.025 ** (1 / 3), 100))

    def test_fluctuation(self) -> None:
        test = {"kind": "proportion", "below": 0.2}
        up_and_down = self.falling + 0.3 * (np.arange(self.STEPS)[:, None] // 10 % 2)
        never = np.ones((self.STEPS, 3)) + np.arange(self.STEPS)[:, None]
        outcomes = [
            verdict(self.trials(losses, self.even), test, measure="fluctuation").outcome
            for losses in (self.falling, up_and_down, never)
        ]
        assert outcomes == [SUPPORTED, CONTRADICTED, CONTRADICTED]

    def test_weights_that_move_after_the_losses_have_levelled_out(self) -> None:
        test = {"kind": "proportion", "above": 0.5}
        level, still_falling = np.ones((self.STEPS, 3)), 2 - np.arange(self.STEPS)[:, None] * np.full(3, 0.01)
        moving = self.even + 0.05 * np.sin(np.arange(self.STEPS))[:, None] * [1, -1, 0]
        outcomes = [
            verdict(self.trials(losses, weights), test, measure="moves_after_levelling").outcome
            for losses, weights in ((level, moving), (still_falling, moving), (level, self.even))
        ]
        assert outcomes == [SUPPORTED, CONTRADICTED, CONTRADICTED]

    def test_roughness_and_seconds_a_step(self) -> None:
        records = scored({"variance": [0.7] * 5, "fixed": [0.7] * 5})
        for record in records:
            rough = record.spec.weighting == "fixed"
            total = np.array([5, 2, 4, 1]) if rough else np.array([5, 3, 2, 1])  # 8 / 4 and 4 / 4
            record.epoch_table = pd.DataFrame({"train_total": total, "seconds": [9, 2.0, 2, 2]})
            record.history = course(np.ones((40, 3)), np.ones((40, 3)), 10)
        test = {"kind": "difference", "direction": "below", **MINE_AND_FIXED}
        found = verdict(records, test, measure="roughness")
        assert (found.outcome, found.cell.effect if found.cell else 0) == (SUPPORTED, -1)
        seconds = verdict(records, {"kind": "threshold", "above": 0.1}, measure="step_seconds").cells[0]
        assert seconds.effect == pytest.approx(2 / 10)


class TestCorrelation:
    TEST: ClassVar[dict[str, Any]] = {"kind": "correlation", **MINE_AND_FIXED, "along": {"area": "below"}}
    IMAGES = tuple(f"{place}.png" for place in range(12))

    def records(self, gain: np.ndarray) -> list[HandRecord]:
        records = against_fixed(HIGHER)
        for record in records:
            ours = gain if record.spec.weighting == "variance" else 0.0
            record.images = pd.DataFrame({"image": self.IMAGES, "dice": 0.5 + ours})
        return records

    @pytest.mark.parametrize(("sign", "outcome"), [(-1, SUPPORTED), (1, CONTRADICTED)])
    def test_gain_against_the_size_of_the_lesion(self, sign: int, outcome: Outcome) -> None:
        noise = np.array([0.0, 0.05, -0.02, 0.01, 0, 0.03, -0.04, 0.02, 0.01, 0, 0.02, -0.01])
        gain = sign * np.arange(12) / 20 + noise
        found = verdict(self.records(gain), self.TEST, {"phantom": disc_truth(self.IMAGES)})
        assert found.outcome is outcome
        assert found.cell is not None
        assert found.cell.effect == pytest.approx(stats.spearmanr(gain, np.arange(12)).statistic)
        assert found.cell.n == 12

    def test_without_masks_it_is_not_tested(self) -> None:
        assert verdict(self.records(np.arange(12)), self.TEST).reason == "the true masks of phantom are not at hand"
