"""Kinds of test that look at trials one by one, on trials whose verdict is known and beside scipy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.papers.kinds import Outcome
from pipelines.papers.wording import row_of
from tests.support.hand_records import HandRecord, course, disc_truth, scored, with_score
from tests.support.hand_verdicts import (
    HIGHER,
    MINE_AND_FIXED,
    WOBBLE,
    against_fixed,
    verdict,
)

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTED = Outcome


class TestSpread:
    @pytest.mark.parametrize(("bound", "outcome"), [(3.0, SUPPORTED), (0.9, UNDECIDED), (0.2, CONTRADICTED)])
    def test_verdict(self, bound: float, outcome: Outcome) -> None:
        records = scored({"fixed": (0.9 + WOBBLE * 1.2).tolist()})  # deviation 0.78 points; interval 0.47 to 2.2
        assert verdict(records, {"kind": "spread", "at_most": bound}).outcome is outcome

    @pytest.mark.parametrize(
        ("scores", "reason"),
        [
            ([0.6, 0.6], "its values have no spread"),
            ([0.6, np.nan, 0.7], "a score is no finite number"),
            ([0.6], "a spread needs two repeats or more"),
        ],
    )
    def test_why_it_is_not_tested(self, scores: list[float], reason: str) -> None:
        found = verdict(scored({"fixed": scores}), {"kind": "spread", "at_most": 5})
        assert (found.outcome, found.reason) == (NOT_TESTED, reason)

    def test_nobody_can_tell_how_many_repeats_show_that_a_larger_spread_is_small(self) -> None:
        found = verdict(scored({"fixed": (0.9 + WOBBLE * 1.2).tolist()}), {"kind": "spread", "at_most": 0.7})
        assert row_of(found)["n for 80 % power"] == "–"

    def test_of_folds_and_seeds_it_is_that_of_one_training(self) -> None:
        """Seeds 60, 64 / 70, 70 / 68, 68: fold means 62, 70, 68 have variance 52 / 3; within 4, 0, 0, mean 4 / 3."""
        folds = [(0.60, 0.64), (0.70, 0.70), (0.68, 0.68)]
        records = [
            with_score(value, seed, weighting="fixed", split=f"fold:{fold}")
            for fold, values in enumerate(folds)
            for seed, value in enumerate(values)
        ]
        (cell,) = verdict(records, {"kind": "spread", "at_most": 5}).cells
        assert (cell.effect, cell.n) == (pytest.approx(np.sqrt(52 / 3 + 4 / 3)), 3)


class TestProportion:
    @pytest.mark.parametrize("bound", ["above", "below"])
    def test_trials_that_diverged_say_nothing(self, bound: str) -> None:
        found = verdict(scored({"variance": [np.nan] * 6}), {"kind": "proportion", bound: 50})
        assert (found.outcome, found.reason) == (NOT_TESTED, "a score is no finite number")

    def test_trials_that_would_decide_it(self) -> None:
        """7 of 10 lie above: 49 trials, by enumeration of the exact test."""
        records = scored({"variance": [0.6] * 7 + [0.4] * 3})
        assert verdict(records, {"kind": "proportion", "above": 50}).needed == 49


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
        (cell,) = verdict(records, {"kind": "threshold", "above": 0.1}, measure="weight_change").cells
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
        assert (found.outcome, found.cells[0].effect) == (NOT_TESTED, -1)  # in each of the repeats
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

    def test_few_images_and_equal_gains_are_the_reason(self) -> None:
        truths = {"phantom": disc_truth(self.IMAGES)}
        records = self.records(np.arange(12))
        for record in records:
            record.images = record.images[:4]
        assert verdict(records, self.TEST, truths).reason == "a rank correlation needs five images or more"
        assert verdict(self.records(np.zeros(12)), self.TEST, truths).reason == "its values have no spread"

    def test_without_masks_it_is_not_tested(self) -> None:
        assert verdict(self.records(np.arange(12)), self.TEST).reason == "the true masks of phantom are not at hand"
