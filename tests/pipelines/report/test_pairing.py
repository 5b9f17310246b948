"""The report checks by digests that trials which are compared seed by seed began alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dmf.training.spec import TrialSpec
from pipelines.report.build import build_report
from pipelines.report.pairing import groups_of, sentence, warning
from pipelines.report.results import StudyFacts
from pipelines.trials.digests import Digests
from pipelines.trials.record import TrialRecord
from tests.support.records import NO_DIGESTS, record_of_planned
from tests.support.report_trials import BASE, make_facts, plan_trials, write_trials

FIXED = {"weighting": "fixed", "auxiliary": None}


def records(tmp_path: Path, specs: list[TrialSpec], **digests: str) -> list[TrialRecord]:
    """Trials of these specs; the last has other digests."""
    planned = plan_trials(tmp_path, specs)
    other = NO_DIGESTS.model_copy(update=digests)
    told = [*[NO_DIGESTS] * (len(planned) - 1), other]
    return [record_of_planned(trial, digests=one) for trial, one in zip(planned, told, strict=True)]


def spec(seed: int = 0, **changes: object) -> TrialSpec:
    return dataclasses.replace(BASE, seed=seed, **changes)


def test_paired_trials_with_equal_digests_are_said_to_agree(tmp_path: Path) -> None:
    found = records(tmp_path, [spec(0), spec(0, **FIXED), spec(1), spec(1, **FIXED)])
    assert len(groups_of(found)) == 2
    assert warning(found) == ""
    assert sentence(found) == "digests say that they did, in all 2 groups of them (4 trials)"


@pytest.mark.parametrize("name", ["initial_weights", "order", "augmentation"])
def test_a_pair_that_is_none_is_named(tmp_path: Path, name: str) -> None:
    found = records(tmp_path, [spec(), spec(**FIXED)], **{name: "f" * 32})
    assert warning(found).endswith(f"{name.replace('_', ' ')} of {found[0].identifier} and {found[1].identifier}.")
    assert sentence(found) == ""


@pytest.mark.parametrize("name", sorted({*Digests.model_fields} - {"initial_weights", "order", "augmentation"}))
def test_what_comes_of_a_training_may_differ(tmp_path: Path, name: str) -> None:
    assert warning(records(tmp_path, [spec(), spec(**FIXED)], **{name: "f" * 32})) == ""


@pytest.mark.parametrize("changes", [{"seed": 1}, {"model": "unet_classic"}, {"split": "random"}, {"batch_size": 4}])
def test_trials_that_are_no_pair_may_differ(tmp_path: Path, changes: dict[str, object]) -> None:
    found = records(tmp_path, [spec(), dataclasses.replace(spec(), **changes)], initial_weights="f" * 32)
    assert warning(found) == ""
    assert sentence(found) == ""


@pytest.mark.parametrize("broken", [False, True])
def test_the_page_says_it(tmp_path: Path, broken: bool) -> None:
    planned = plan_trials(tmp_path / "trials", [spec(), spec(**FIXED)])
    write_trials(planned, make_facts())
    if broken:
        path = planned[1].folder / "trial.json"
        path.write_text(path.read_text().replace(f'"order": "{"0" * 32}"', f'"order": "{"1" * 32}"'))
    facts = {"phantom": make_facts()}
    page = build_report(StudyFacts("s", "S", []), planned, "fixed · none", facts, tmp_path / "reports").read_text()
    assert ("Not paired." in page) == broken
    assert ("digests say that they did, in all 1 groups of them" in page) == (not broken)
