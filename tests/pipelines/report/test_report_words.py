"""What the page says in words is so: of methods, leads, seeds that are few, and configurations that are one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from dmf.training.spec import TrialSpec
from pipelines.report.data import DataFacts
from pipelines.report.forest import draw_forest
from pipelines.report.layout import Layout, lay_out
from pipelines.report.methods import summarise
from pipelines.report.page import _headlines, twins
from pipelines.report.statistics import caveat, compare
from pipelines.report.tables import build_tables
from pipelines.trials.record import TrialRecord
from tests.support.report_trials import BASE, Score, make_facts, plausible, records_of

BASELINE = "fixed · none"
FACTS = {name: make_facts(name) for name in ("phantom", "busi")}


def specs_of(weightings: str, seeds: Sequence[int] = (0, 1), dataset: str = "phantom") -> list[TrialSpec]:
    return [
        dataclasses.replace(BASE, dataset=dataset, seed=seed, weighting=weighting, auxiliary=None)
        for seed in seeds
        for weighting in weightings.split()
    ]


def laid_out(specs: Sequence[TrialSpec], score: Score = plausible) -> Layout:
    return lay_out(records_of(specs, score), BASELINE)


def records_in(layout: Layout) -> list[TrialRecord]:
    return [record for rows in layout.rows.values() for row in rows for record in row.records]


class TestMethods:
    def test_of_data_sets_that_differ_each_is_told(self) -> None:
        specs = specs_of("variance mad fixed", range(5)) + specs_of("variance fixed", [0], "busi")
        layout = laid_out(specs)
        assert summarise(records_in(layout), layout)["Trials"] == (
            "17 trials finished, all that the study asks for: on phantom 3 configurations × 5 seeds; "
            "on busi 2 configurations × one seed"
        )

    def test_of_data_sets_that_are_alike_their_number(self) -> None:
        layout = laid_out(specs_of("variance fixed") + specs_of("variance fixed", dataset="busi"))
        assert summarise(records_in(layout), layout)["Trials"].endswith("2 data sets × 2 configurations × 2 seeds")

    @pytest.mark.parametrize(
        ("split", "said"),
        [
            ("default", "the split is the same in all trials"),
            ("random:{}", "dealt anew for each seed"),
            ("fold:{}", "each fold tests on images of its own"),
        ],
    )
    def test_how_images_were_dealt(self, split: str, said: str) -> None:
        specs = [dataclasses.replace(spec, split=split.format(spec.seed)) for spec in specs_of("variance fixed")]
        layout = laid_out(specs)
        assert said in summarise(records_in(layout), layout)["Pairing"]


class TestLeads:
    def verdict(self, specs: Sequence[TrialSpec], score: Score = plausible) -> tuple[str, str]:
        """What is said of the best Dice, and of the baseline's."""
        layout = laid_out(specs, score)
        headline = _headlines(layout, FACTS["phantom"], compare(layout, FACTS))[0]
        return headline.verdict, headline.baseline

    def test_seeds_that_are_not_shared_are_not_one_seed(self) -> None:
        specs = [*specs_of("variance", (0, 1)), *specs_of("fixed", (2, 3))]
        said, _ = self.verdict(specs, lambda spec: 0.8 if spec.weighting == "variance" else 0.7)
        assert said.startswith("Fewer than two seeds in common with the baseline:")
        said, _ = self.verdict(specs_of("variance fixed", [0]), lambda spec: 0.8 - 0.1 * (spec.weighting == "fixed"))
        assert said.startswith("One seed:")

    def test_a_baseline_that_diverged(self) -> None:
        said, baseline = self.verdict(
            specs_of("variance fixed"), lambda spec: math.nan if (spec.weighting, spec.seed) == ("fixed", 1) else 0.8
        )
        assert said == "A score of the baseline is no number: whether there is a lead cannot be told."
        assert baseline == "n/a"

    def test_the_same_lead_in_every_pair_excludes_nothing(self) -> None:
        score: Score = lambda spec: 0.5 + 0.25 * (spec.weighting == "variance")  # noqa: E731
        said, _ = self.verdict(specs_of("variance fixed"), score)
        assert said == "+25.00 points in all 2 pairs: without spread it cannot be told whether that is luck."
        assert not any(one.clear for one in compare(laid_out(specs_of("variance fixed"), score), FACTS))


def test_each_data_set_is_told_of_its_own_seeds() -> None:
    layout = laid_out(specs_of("variance fixed", range(3)) + specs_of("variance fixed", [0], "busi"))
    found = compare(layout, FACTS)
    assert "With 3 pairs" in caveat([one for one in found if one.dataset == "phantom"])
    assert "not tested" in caveat([one for one in found if one.dataset == "busi"])


def test_a_table_without_a_test_explains_no_marks() -> None:
    layout = laid_out(specs_of("variance mad"))
    (first, *_) = build_tables(layout, FACTS)
    assert "* and **" not in first.caption
    (first, *_) = build_tables(layout, FACTS, {("phantom", first.protocol, "dice", "variance · none"): 0.5})
    assert "* and **" in first.caption


def test_the_forest_counts_the_intervals_that_it_draws(tmp_path: Path) -> None:
    """Of three configurations with a clear lead one is left to be drawn."""
    facts: DataFacts = FACTS["phantom"]
    layout = laid_out(
        specs_of("variance mad bayesian fixed", range(3)),
        lambda spec: 0.7 + (0.1 + spec.seed / 1000) * (spec.weighting != "fixed"),
    )
    rows = layout.rows["phantom"]
    drawn = dataclasses.replace(layout, rows={"phantom": (rows[0], rows[-1])})
    picture = draw_forest(drawn, facts, compare(layout, FACTS), tmp_path)
    assert picture is not None
    assert " 1 of 1 intervals" in picture.alternative


def test_configurations_that_scored_alike_are_one_training_only_if_their_weights_are_alike() -> None:
    found = records_of(specs_of("variance mad fixed"), lambda spec: 0.0)
    assert twins(lay_out(found, BASELINE).rows["phantom"]) == [["variance · none", "mad · none", BASELINE]]
    found[0] = found[0].model_copy(update={"digests": found[0].digests.model_copy(update={"weights": "1" * 32})})
    assert twins(lay_out(found, BASELINE).rows["phantom"]) == [["mad · none", BASELINE]]
