"""`python -m pipelines.provenance`: from a cell of a table to its trials, their data, and the commands for it."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest

from pipelines.report.build import build_report
from pipelines.report.results import StudyFacts
from tests.support.commands import run_module
from tests.support.places import ROOT
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planned = plan_trials(tmp_path_factory.mktemp("trials"), paper_specs(seeds=2))
    write_trials(planned, make_facts())
    reports, facts = tmp_path_factory.mktemp("reports"), {"phantom": make_facts()}
    return build_report(StudyFacts("s", "A study", []), planned, "fixed · none", facts, reports).parent


def provenance(report: Path, *options: str) -> tuple[int, str, str]:
    place = ["--reports", str(report.parent), "--study", report.name]
    done = run_module("pipelines.provenance", *options, *place, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


def test_a_cell_leads_to_its_trials_and_the_commands_that_give_it_again(report: Path) -> None:
    scores = pd.read_csv(report / "tables" / "scores.csv")
    cell = scores.query(
        "configuration == 'mad · focal' and protocol == 'per_image' and metric == 'dice' and split == 'test'"
    )
    status, out, _ = provenance(report, "--cell", "mad · focal")
    assert status == 0
    assert out.startswith(f"dice (per_image) of mad · focal on phantom: {fmean(cell['value']):.6f} ± ")
    for name, value in zip(cell["identifier"], cell["value"], strict=True):
        assert f"  {name}  seed " in out
        assert str(value) in out
        assert f"trial {name}: mad · focal · phantom · seed " in out
    assert "  code: commit abc123, definitions code" in out
    assert "data set phantom: " in out
    place = "../dmf-abc123"
    assert f"  git worktree add {place} abc123 && cd {place} && make setup && dvc repro filter\n" in out
    named = f"--study s --reports {report.parent} {' '.join(cell['identifier'])}"
    assert f"  python -m pipelines.verify {named}\n" in out


def test_a_trial_is_found_by_the_beginning_of_its_name(report: Path) -> None:
    name = pd.read_csv(report / "tables" / "scores.csv")["identifier"].min()
    status, out, _ = provenance(report, name[:7])
    assert status == 0
    assert f"trial {name}: " in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name a trial or --cell; the 26 trials are "),
        (["zzz"], "name a trial or --cell"),
        (["--cell", "mad · nothing"], "no configuration 'mad · nothing'; there is variance · tversky"),
        (["--cell", "mad · focal", "--metric", "beauty"], "no metric 'beauty'; there is dice"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(report: Path, options: list[str], message: str) -> None:
    status, _, err = provenance(report, *options)
    assert status == 1
    assert message in err
