"""A tuned row is marked, and says its values and its cost beside its quality; other rows cost themselves."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from dmf.training.spec import TrialSpec
from pipelines.provenance.work import search_lines
from pipelines.report.build import build_report
from pipelines.report.layout import lay_out
from pipelines.report.results import StudyFacts
from pipelines.report.tuned import _printed, cost_table, costs_of
from pipelines.trials.bundle import read_bundle, unpacked
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.tuning import Proposal, Tuning
from tests.support.report_trials import BASE, make_facts, plan_trials, records_of, write_trials
from tune_spaces.tuned import with_values

FACTS = make_facts()
SPECS = [
    dataclasses.replace(BASE, auxiliary=None, weighting="fixed", weighting_params={"scale": "sum1"}, seed=seed)
    for seed in range(2)
]


def tuning(split: str, rate: float) -> Tuning:
    """Three proposals: the first diverged, the second wins, the third was stopped early."""
    values = [{"learning_rate": rate * factor, "weights": [0.5, 0.25, 0.25]} for factor in (10, 1, 2)]
    tried = tuple(
        Proposal(number=n, identifier=f"{split}-{n}", values=values[n], score=s, epochs=e, seconds=t, stopped=e == 2)
        for n, (s, e, t) in enumerate([(None, 0, 1.0), (0.8, 6, 30.0), (0.7, 2, 9.0)])
    )
    declared = {"space": {"learning_rate": [], "weights": []}, "method": "random"}
    return Tuning(
        identifier=f"s-{split}", dataset="phantom", split=split, tuned=declared, metric="cb_dice", proposals=tried
    )


def tuned_trials(folder: Path, searches: dict[int, Tuning]) -> list[PlannedTrial]:
    """The seeds of a tuned row, each with the winner of its search."""

    def spec(seed: int) -> TrialSpec:
        return dataclasses.replace(with_values(SPECS[seed], found[seed].winner.values), split=found[seed].split)

    found = searches
    planned = plan_trials(folder, map(spec, range(2)))
    return [
        dataclasses.replace(trial, configuration="fixed · tuned", tuning=found[trial.spec.seed]) for trial in planned
    ]


def report(folder: Path, searches: dict[int, Tuning] | None) -> Path:
    others = [dataclasses.replace(spec, weighting="variance", weighting_params={}) for spec in SPECS]
    planned = plan_trials(folder / "trials", [*others, *SPECS])
    planned += tuned_trials(folder / "trials", searches) if searches else []
    write_trials(planned, FACTS)
    study = StudyFacts("s", "A study", [])
    return build_report(study, planned, "fixed · none", {"phantom": FACTS}, folder / "reports").parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(tmp_path_factory.mktemp("tuned"), dict.fromkeys(range(2), tuning("default", 0.002)))


def test_the_row_is_marked_and_says_values_and_cost(made: Path) -> None:
    """By hand: 3 trials, 6 + 2 epochs, 1 + 30 + 9 seconds."""
    text, typeset, page = (
        (made / name).read_text()
        for name in ("tables/phantom_per_image.md", "tables/phantom_per_image.tex", "index.html")
    )
    marked = [line for line in text.splitlines() if line.startswith("|") and "§" in line]
    assert len(marked) == 1
    assert marked[0].startswith("| Tuned | Fixed § |")
    values = "learning_rate = 0.002; weights = 0.5, 0.25, 0.25"
    cost = "3 trials by random search, 8 epochs in 40 s; 1 of them stopped early by ASHA; 1 of them diverged"
    assert f"on validation images alone: fixed · tuned: {values} ({cost})." in text
    assert r"\S{}" in typeset
    for part in (values, "Quality and cost", "never saw a test image"):
        assert part in page


def test_cost_stands_beside_quality_for_every_row(made: Path) -> None:
    """By hand: each trial took 12.5 s and 6 epochs, and there are two of each row."""
    costs = pd.read_csv(made / "tables/cost.csv").set_index("configuration")
    scores = pd.read_csv(made / "tables/summary.csv")
    assert set(costs.index) == {"variance · none", "fixed · none", "fixed · tuned"}
    assert (costs["seconds"] == 25).all()
    assert (costs["epochs"] == 12).all()
    tuned = costs.loc["fixed · tuned"]
    assert (tuned["search_trials"], tuned["search_epochs"], tuned["search_seconds"]) == (3, 8, 40)
    assert costs["total_seconds"].to_dict() == {"variance · none": 25, "fixed · none": 25, "fixed · tuned": 65}
    dice = scores[(scores["split"] == "test") & (scores["protocol"] == "per_image") & (scores["metric"] == "dice")]
    for row in dice.itertuples():
        assert costs.loc[row.configuration, "mean"] == pytest.approx(100 * row.mean)
        assert costs.loc[row.configuration, "std"] == pytest.approx(100 * row.std)
    lines = (made / "tables/cost.md").read_text().splitlines()
    (line,) = [line for line in lines if "fixed · tuned" in line]
    assert line.endswith("| 3 trials, 8 epochs, 40 s | 25 | 65 |")


def test_a_score_that_is_no_number_has_a_cost_all_the_same() -> None:
    found = records_of(SPECS, lambda spec: math.nan if spec.seed else 0.8)
    searched = [record.model_copy(update={"tuning": tuning("default", 0.002)}) for record in found]
    (cost,) = costs_of(lay_out(searched, ""), {"phantom": FACTS})
    assert cost_table([cost])[["mean", "std"]].isna().all(axis=None)
    assert _printed(cost)[2] == "Dice, mean over images: n/a"


def test_every_proposal_is_in_the_report(made: Path) -> None:
    found = pd.read_csv(made / "tables/search.csv")
    assert found["number"].to_list() == [0, 1, 2]
    assert found["won"].to_list() == [False, True, False]
    assert found["stopped"].to_list() == [False, False, True]
    assert found["learning_rate"].to_list() == [0.02, 0.002, 0.004]
    assert found["weights"].to_list() == ["[0.5, 0.25, 0.25]"] * 3
    assert found["score"].isna().to_list() == [True, False, False]


def test_a_row_is_one_row_whatever_its_searches_found(tmp_path: Path) -> None:
    """Of two deals each has a search of its own, and other values."""
    made = report(tmp_path, {0: tuning("random:0", 0.002), 1: tuning("random:1", 0.0005)})
    text = (made / "tables/phantom_per_image.md").read_text()
    assert len([line for line in text.splitlines() if line.startswith("|") and "§" in line]) == 1
    assert "fixed · tuned on random:0: learning_rate = 0.002" in text
    assert "fixed · tuned on random:1: learning_rate = 0.0005" in text
    costs = pd.read_csv(made / "tables/cost.csv").set_index("configuration")
    assert costs.loc["fixed · tuned", "search_trials"] == 6
    assert costs.loc["fixed · tuned", "total_seconds"] == 25 + 80


def test_a_study_without_tuned_rows_says_nothing_of_it(tmp_path: Path) -> None:
    made = report(tmp_path, None)
    assert not [*made.glob("tables/cost*"), *made.glob("tables/search*")]
    for path in (*made.glob("tables/*.md"), *made.glob("tables/*.tex"), made / "index.html"):
        text = path.read_text()
        assert "§" not in text
        assert "Quality and cost" not in text


def test_provenance_says_which_search_chose_the_values(made: Path) -> None:
    with unpacked(made) as carried:
        records = {record.configuration: record for record in read_bundle(carried)}
    (first, second) = search_lines([records["fixed · tuned"]], made)
    assert first == "tuned on phantom, default split: values of proposal 1 of search s-default"
    assert second.startswith("  by random, validation cb_dice 0.8000; all its proposals: ")
    assert not [*search_lines([records["fixed · none"]], made)]
