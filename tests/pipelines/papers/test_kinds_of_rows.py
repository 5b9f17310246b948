"""Kinds of test that look at all configurations of a table together, on trials whose verdict is known."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

from pipelines.papers.inference import anova_repeats_needed
from pipelines.papers.kinds import Outcome
from tests.support.hand_records import scored
from tests.support.hand_verdicts import BASE, HIGHER, LOWER, SIMILAR, WOBBLE, against_fixed, verdict

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTED = Outcome


class TestFirst:
    TEST: ClassVar[dict[str, Any]] = {"kind": "first", "ours": {"weighting": "variance"}}

    @pytest.mark.parametrize(("ours", "outcome"), [(HIGHER, SUPPORTED), (SIMILAR, UNDECIDED), (LOWER, CONTRADICTED)])
    def test_verdict(self, ours: np.ndarray, outcome: Outcome) -> None:
        names = {"variance": ours.tolist(), "fixed": BASE.tolist(), "mad": (BASE - 0.02).tolist()}
        assert verdict(scored(names), self.TEST).outcome is outcome

    @pytest.mark.parametrize(("ours", "outcome"), [(5, SUPPORTED), (15, CONTRADICTED)])
    def test_the_first_by_distance_has_the_smallest(self, ours: float, outcome: Outcome) -> None:
        """The others are at 10 and 20 px."""
        names = {"variance": (ours + WOBBLE).tolist(), "fixed": (10 + 0 * BASE).tolist(), "mad": (20 + WOBBLE).tolist()}
        found = verdict(scored(names, metric="hd95"), self.TEST, metrics="hd95")
        assert found.outcome is outcome
        assert found.cells[0].effect == pytest.approx(ours - 10)

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

    @pytest.mark.parametrize(
        ("scores", "reason"),
        [
            ({"fixed": BASE}, "it needs two configurations or more"),
            ({"fixed": BASE, "mad": np.full(5, np.nan)}, "a score is no finite number"),
            (
                {"fixed": BASE[:1], "mad": BASE[:1]},
                "a spread needs two repeats or more, shared by all that is compared",
            ),
            ({"fixed": BASE, "mad": BASE + 0.01}, "its values have no spread"),
            ({"fixed": 0 * BASE, "mad": 0 * BASE}, "its values have no spread"),
        ],
    )
    @pytest.mark.parametrize("test", [TEST, {"kind": "anova"}])
    def test_why_it_is_not_tested(self, test: dict[str, Any], scores: dict[str, np.ndarray], reason: str) -> None:
        found = verdict(scored({name: values.tolist() for name, values in scores.items()}), test)
        assert (found.outcome, found.reason) == (NOT_TESTED, reason)

    def test_one_training_under_two_names_says_nothing_of_the_others(self) -> None:
        values = {"fixed": self.SEEDS, "mad": self.SEEDS + 4 + 0.1 * np.resize([1, -1], 8)}
        two, three = (
            verdict(scored({name: (0.5 + 0.01 * v).tolist() for name, v in some.items()}), self.TEST)
            for some in (values, {**values, "equal": values["fixed"]})
        )
        assert three.outcome is two.outcome is CONTRADICTED
        assert two.cell is not None
        assert three.cell is not None
        assert three.cell.effect == pytest.approx(two.cell.effect, rel=0.01)


class TestAnova:
    def test_verdict_and_it_never_contradicts(self) -> None:
        test = {"kind": "anova"}
        apart = scored({"variance": HIGHER.tolist(), "mad": SIMILAR.tolist(), "fixed": BASE.tolist()})
        alike = scored({"variance": SIMILAR.tolist(), "mad": (BASE + WOBBLE[::-1]).tolist(), "fixed": BASE.tolist()})
        assert [verdict(records, test).outcome for records in (apart, alike)] == [SUPPORTED, UNDECIDED]

    def test_repeats_needed_are_for_the_level_of_bonferroni(self) -> None:
        """Two conditions: F is the square of the paired t."""
        records = against_fixed(BASE + 0.006 + WOBBLE)
        for record in records:
            record.test["per_image"]["iou"] = record.test["per_image"]["dice"]
        one, two = (verdict(records, {"kind": "anova"}, metrics=names) for names in ("dice", ["dice", "iou"]))
        f = stats.ttest_rel(BASE + 0.006 + WOBBLE, BASE).statistic ** 2
        assert [one.needed, two.needed] == [anova_repeats_needed(f, 5, 2, 1.0, alpha) for alpha in (0.05, 0.025)]
        assert one.needed is not None
        assert two.needed is not None
        assert one.needed < two.needed


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
