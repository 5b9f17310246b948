"""Reports of grids that have not finished: what is there, what is missing and why, and no verdict."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import pytest

from pipelines.core.console import StageError
from pipelines.core.locks import locked
from pipelines.papers.claim import paper_claims
from pipelines.report.build import build_report
from pipelines.report.layout import lay_out
from pipelines.report.results import StudyFacts
from pipelines.trials.failure import Failure, write_failure
from pipelines.trials.finished import read_finished
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder
from tests.support.latex import needs_latex, typeset
from tests.support.report_trials import BASE, make_facts, paper_specs, plan_trials, write_trials

FACTS = make_facts()
STUDY = StudyFacts("s", "Title", [], [one for one in paper_claims() if "dmf" in one.study], ["dmf-1"])
SPECS = [spec for spec in paper_specs(seeds=3) if spec.weighting in ("fixed", "variance")]
"""Per seed variance with Tversky, focal, CB-Dice and no auxiliary loss, then the baseline."""


@pytest.fixture
def planned(tmp_path: Path) -> list[PlannedTrial]:
    return plan_trials(tmp_path / "trials", SPECS)


def build(planned: list[PlannedTrial], tmp_path: Path) -> Path:
    return build_report(STUDY, planned, "fixed · none", {"phantom": FACTS}, tmp_path / "reports", partial=True).parent


def rows_of(report: Path, name: str) -> list[dict[str, str]]:
    with (report / "tables" / f"{name}.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def configured(planned: list[PlannedTrial], name: str) -> list[PlannedTrial]:
    return [trial for trial in planned if trial.configuration == name]


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that lacks all three trials with Tversky, the first of which failed, and the last with focal."""
    root = tmp_path_factory.mktemp("growing")
    planned = plan_trials(root / "trials", SPECS)
    tversky, focal = (configured(planned, f"variance · {name}") for name in ("tversky", "focal"))
    write_trials([trial for trial in planned if trial not in (*tversky, focal[2])], FACTS)
    failure = Failure("divergence", "TrainingDiverged: <total> is nan", attempts=2, node="n1")
    tversky[0].folder.mkdir()
    write_failure(tversky[0].folder, tversky[0].describe("s", "abc"), failure)
    return build(planned, root)


class TestGrowing:
    def test_the_page_says_what_is_missing_and_why(self, growing: Path) -> None:
        page = (growing / "index.html").read_text()
        assert "Not all trials have finished." in page
        assert "11 of 15 trials finished" in page
        assert "failed (divergence, attempt 2, node n1): TrainingDiverged: &lt;total&gt; is nan" in page
        missing = rows_of(growing, "missing")
        assert sorted(row["configuration"] for row in missing) == ["variance · focal"] + ["variance · tversky"] * 3
        assert [row["seed"] for row in missing if row["failed"] == "True"] == ["0"]

    def test_tables_mark_rows_that_are_short_of_trials_or_have_none(self, growing: Path) -> None:
        table = (growing / "tables" / "phantom_per_image.md").read_text()
        assert "<sup>2/3</sup>" in next(line for line in table.splitlines() if line.startswith("| Focal | Variance"))
        assert "| Tversky | Variance | missing | missing" in table

    def test_no_claim_has_a_verdict_and_no_printed_table_is_filled(self, growing: Path) -> None:
        verdicts = rows_of(growing, "claims")
        assert {row["verdict"] for row in verdicts} == {"not tested"}
        assert {row["basis"] for row in verdicts} == {"4 of 15 trials have not finished"}
        assert "not made, 4 of 15 trials have not finished" in (growing / "tables" / "printed.md").read_text()

    def test_a_configuration_is_compared_over_the_seeds_that_it_shares_with_the_baseline(self, growing: Path) -> None:
        seeds = {row["configuration"]: row["seeds"] for row in rows_of(growing, "comparisons")}
        assert seeds == {"variance · focal": "2", "variance · cb_dice": "3", "variance · none": "3"}

    def test_rows_are_told_apart_by_what_is_missing_too(self, tmp_path: Path) -> None:
        specs = [dataclasses.replace(BASE, auxiliary=None, learning_rate=rate) for rate in (0.001, 0.01)]
        planned = [
            dataclasses.replace(trial, configuration=f"{trial.spec.learning_rate}")
            for trial in plan_trials(tmp_path, specs)
        ]
        write_trials(planned[:1], FACTS)
        records, missing = read_finished(planned)
        layout = lay_out(records, "0.001", missing)
        assert layout.axes == ("learning_rate",)

    @needs_latex
    def test_its_document_typesets(self, growing: Path, tmp_path: Path) -> None:
        assert "Not all trials have finished" in (growing / "report.tex").read_text()
        shutil.copytree(growing, tmp_path / "s")
        typeset(tmp_path / "s", "report")

    def test_without_a_trial_of_the_baseline_nothing_is_compared(
        self, planned: list[PlannedTrial], tmp_path: Path
    ) -> None:
        write_trials([trial for trial in planned if trial.configuration != "fixed · none"], FACTS)
        report = build(planned, tmp_path)
        assert rows_of(report, "comparisons") == []
        page = (report / "index.html").read_text()
        assert "baseline not finished" in page

    def test_one_trial_is_enough(self, planned: list[PlannedTrial], tmp_path: Path) -> None:
        write_trials(planned[:1], FACTS)
        assert "1 of 15 trials finished" in (build(planned, tmp_path) / "index.html").read_text()

    @pytest.mark.slow
    def test_it_is_refreshed_until_nothing_is_missing(self, planned: list[PlannedTrial], tmp_path: Path) -> None:
        write_trials(planned[:8], FACTS)
        assert len(rows_of(build(planned, tmp_path), "missing")) == 7
        write_trials(planned[8:], FACTS)
        report = build(planned, tmp_path)
        assert not (report / "tables" / "missing.csv").exists()
        assert "Not all trials" not in (report / "index.html").read_text()
        assert {row["verdict"] for row in rows_of(report, "claims")} != {"not tested"}


class TestCauses:
    def test_how_far_a_trial_has_come(self, planned: list[PlannedTrial]) -> None:
        write_trials(planned[:1], FACTS)
        for trial, epochs in ((planned[1], 3), (planned[2], 1)):
            unfinished = Unfinished(unfinished_folder(trial.folder))
            unfinished.folder.mkdir(parents=True)
            unfinished.write_progress(Progress(epochs_done=epochs))
        with locked(unfinished_folder(planned[1].folder) / "lock"):
            _, missing = read_finished(planned)
        assert [one.cause for one in missing[:3]] == [
            "in training, 3 of 6 epochs done",
            "interrupted, 1 of 6 epochs done",
            "not begun",
        ]

    def test_without_any_trial_there_is_no_report(self, planned: list[PlannedTrial], tmp_path: Path) -> None:
        with pytest.raises(StageError, match=r"holds none of the study's 15 trials"):
            build(planned, tmp_path)

    def test_a_damaged_trial_is_named(self, planned: list[PlannedTrial], tmp_path: Path) -> None:
        write_trials(planned[:2], FACTS)
        (planned[0].folder / "images.parquet").write_bytes(b"{}")
        with pytest.raises(StageError, match=r"images\.parquet is damaged"):
            build(planned, tmp_path)
