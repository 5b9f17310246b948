"""What a person sees of verdicts: console, report and MLflow."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from dmf.training.spec import TrialSpec
from pipelines.claims.work import judge_study, verdict_table
from pipelines.papers.claim import Claim
from pipelines.papers.evidence import Evidence
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import Verdict, judge
from pipelines.papers.wording import decimal, row_of, tags
from pipelines.report.claims import to_latex, to_markdown, write_claims
from pipelines.trials.mirror import Mirror
from pipelines.trials.plan import plan
from pipelines.trials.tracking import tag_study
from tests.support.grids import tiny
from tests.support.hand_records import scored
from tests.support.report_trials import make_facts, write_trials
from tune_spaces import Study

BASE = np.array([0.70, 0.72, 0.69, 0.71, 0.73])
OURS = BASE + 0.05 + np.array([-0.01, 0.004, 0.006, -0.002, 0.002])
OWN = {
    "id": "mine_1",
    "statement": "MAD | 100 % better & more.",
    "protocol": "per_image",
    "metrics": "dice",
    "test": {"kind": "difference", "ours": {"baseline": False}, "rivals": {"baseline": True}},
}


@pytest.fixture
def found() -> list[Verdict]:
    """One that is supported and one that is not tested."""
    records = scored({"mad": OURS.tolist(), "fixed": BASE.tolist()})
    evidence = Evidence(tuple(records), records[-1].configuration)
    claims = [
        Claim.model_validate({"study": "s", **OWN}),
        Claim.model_validate({"study": "s", **OWN, "metrics": "hd95"}),
    ]
    return [judge(claim, "s", evidence) for claim in claims]


def test_a_row_says_effect_interval_repeats_and_what_it_rests_on(found: list[Verdict]) -> None:
    row = row_of(found[0])
    assert (row["Verdict"], row["Effect"], row["n"]) == ("supported", "+5.00 points", "5")
    assert row["95 % interval"] == "+4.21 to +5.79"  # 5 ± 2.776 * .632 / sqrt(5)
    assert row["Basis"].startswith("one test; dice (per_image), phantom: mad")


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(-0.0, 2, "+0.00"), (-0.004, 2, "+0.00"), (-0.006, 2, "-0.01"), (-0.04, 1, "+0.0")]
)
def test_no_minus_before_zero(value: float, digits: int, text: str) -> None:
    assert decimal(value, digits, sign=True) == text
    assert decimal(value, digits) == text.removeprefix("+")


def test_repeats_that_nobody_reckoned_are_a_dash(found: list[Verdict]) -> None:
    cell = found[0].cell
    assert cell is not None
    shown = [
        row_of(dataclasses.replace(found[0], cell=dataclasses.replace(cell, needed=needed)))["n for 80 % power"]
        for needed in (None, lambda _: None, lambda _: 1234)
    ]
    assert shown == ["–", "> 10,000", "1,234"]


def test_what_was_not_tested_says_why(found: list[Verdict]) -> None:
    assert row_of(found[1])["Basis"] == "the protocol per_image has no score hd95"


def test_files_of_the_report(found: list[Verdict], tmp_path: Path) -> None:
    write_claims(found, tmp_path)
    claims, tests = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("claims", "claims_tests"))
    assert claims["verdict"].tolist() == ["supported", "not tested"]
    assert claims["effect"].iloc[0] == pytest.approx(5)
    assert tests["state"].tolist() == ["supported"]
    assert r"MAD \| 100 % better & more." in to_markdown(found)
    assert r"MAD \textbar{} 100 \% better \& more." in to_latex(found)


@pytest.mark.slow
class TestCommand:
    @pytest.fixture
    def study(self, tmp_path: Path) -> Study:
        return tiny(tmp_path, claims=[OWN])

    def test_trials_on_disk(self, study: Study, prepared_phantom: Path, tmp_path: Path) -> None:
        def score(spec: TrialSpec) -> float:
            return 0.7 + 0.01 * spec.seed + (0.1 + 0.001 * spec.seed) * (spec.weighting == "mad")

        planned = plan(study, prepared_phantom, tmp_path)
        write_trials(planned, make_facts(), score)
        (found,) = judge_study(study, prepared_phantom, tmp_path)
        assert (found.outcome, found.claim.id) == (Outcome.SUPPORTED, "mine_1")
        console = Console(width=200, record=True)
        console.print(verdict_table(study, [found]))
        shown = console.export_text()
        assert "supported" in shown
        assert "+10.05 points" in shown

    def test_missing_trials_or_data_are_a_reason_and_no_failure(
        self, study: Study, prepared_phantom: Path, tmp_path: Path
    ) -> None:
        for data, words in ((prepared_phantom, "none of the study's 4 trials"), (tmp_path, "is missing")):
            (found,) = judge_study(study, data, tmp_path)
            assert found.outcome is Outcome.NOT_TESTED
            assert words in found.reason


class TestMlflow:
    def test_verdicts_are_tags_of_the_experiment(self, found: list[Verdict], tmp_path: Path) -> None:
        uri, verdicts = f"sqlite:///{tmp_path / 'mlflow.db'}", [found[0]]
        assert not tag_study("tiny", uri, tags(verdicts))
        assert not list(tmp_path.iterdir())  # no store is made for a tag
        Mirror("tiny", uri, "here")
        assert not tag_study("other", uri, tags(verdicts))
        assert tag_study("tiny", uri, tags(verdicts))
        changed = dataclasses.replace(found[0], outcome=Outcome.UNDECIDED)
        assert tag_study("tiny", uri, tags([changed]))
        experiment = MlflowClient(uri).get_experiment_by_name("tiny")
        assert experiment is not None
        assert experiment.tags["claim/mine_1"].startswith(
            "undecided: +5.00 points, 95 % interval +4.21 to +5.79, n = 5"
        )
