"""Trials of one study that ran on different machines or libraries: the report says so wherever a number is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dmf.training.spec import TrialSpec
from pipelines.report.build import build_report
from pipelines.report.environments import kinds, warning
from pipelines.report.results import StudyFacts
from pipelines.trials.finished import read_trials
from pipelines.trials.record import Start, TrialRecord
from tests.support.records import begun
from tests.support.report_trials import BASE, make_facts, plan_trials, write_trials

FACTS = make_facts()
MIXED = "Mixed environments."


def specs(seeds: int = 2) -> list[TrialSpec]:
    """Variance weighting and the fixed baseline."""
    changes = [{"weighting": "variance", "auxiliary": None}, {"weighting": "fixed", "auxiliary": None}]
    return [dataclasses.replace(BASE, seed=seed, **change) for change in changes for seed in range(seeds)]


def report(folder: Path, **other: Any) -> Path:
    """The report of four trials; the last (the baseline's second seed) ran in another environment."""

    def attempt(spec: TrialSpec) -> Start:
        return begun(**(other if (spec.weighting, spec.seed) == ("fixed", 1) else {}))

    planned = plan_trials(folder / "trials", specs())
    write_trials(planned, FACTS, attempt=attempt)
    study = StudyFacts("s", "A study", [], tables=["dmf-1"])
    return build_report(study, planned, "fixed · none", {"phantom": FACTS}, folder / "reports").parent


def test_trials_of_one_kind_need_no_word(tmp_path: Path) -> None:
    made = report(tmp_path, node="another", python="3.13.0")
    page = (made / "index.html").read_text()
    assert MIXED not in page
    assert "‡" not in page
    assert "ran on the same" not in (made / "tables" / "phantom_per_image.tex").read_text()
    assert set(pd.read_csv(made / "tables" / "comparisons.csv")["across_environments"]) == {0}


@pytest.mark.parametrize(
    ("other", "counted"),
    [
        ({"torch": "2.14.0"}, "3 on PyTorch 2.15.0; 1 on PyTorch 2.14.0"),
        ({"instruction_set": "AVX512"}, "3 on AVX2; 1 on AVX512"),
        ({"threads": 8}, "3 on 1 thread; 1 on 8 threads"),
        ({"precision": "fp32 with TF32 in convolutions"}, "3 on fp32; 1 on fp32 with TF32 in convolutions"),
        ({"device": "NVIDIA H100"}, "3 on CPU; 1 on NVIDIA H100"),
        ({"platform": "Darwin arm64"}, "3 on Linux x86_64; 1 on Darwin arm64"),
        ({"torch": "2.14.0", "instruction_set": "AVX512"}, "3 on PyTorch 2.15.0, AVX2; 1 on PyTorch 2.14.0, AVX512"),
    ],
)
def test_trials_of_several_kinds_are_counted_and_named(tmp_path: Path, other: dict[str, Any], counted: str) -> None:
    planned = plan_trials(tmp_path, specs())
    write_trials(planned, FACTS, attempt=lambda spec: begun(**(other if spec == planned[-1].spec else {})))
    assert f"Not all 4 trials ran on the same: {counted}." in warning(read_trials(planned))


def test_the_page_the_tables_and_the_comparisons_say_it(tmp_path: Path) -> None:
    made = report(tmp_path, torch="2.14.0", instruction_set="AVX512")
    counted = "3 on PyTorch 2.15.0, AVX2; 1 on PyTorch 2.14.0, AVX512"
    page = (made / "index.html").read_text()
    top, methods = page.partition("<main")[0], page.partition('id="methods"')[2]
    assert MIXED in top
    assert counted in top
    assert "2.15.0; 2.14.0" in methods
    assert "AVX2; AVX512" in methods
    assert "‡ 1 of 2" in page
    for table in ("phantom_per_image.md", "phantom_reference.md"):
        assert counted in (made / "tables" / table).read_text()
    for table in ("phantom_per_image.tex", "table_1.tex"):
        assert counted.replace("_", r"\_") in (made / "tables" / table).read_text()
    assert set(pd.read_csv(made / "tables" / "comparisons.csv")["across_environments"]) == {1}


def records(tmp_path: Path, *attempts: tuple[Start, ...]) -> list[TrialRecord]:
    """Finished trials with these attempts."""
    planned = plan_trials(tmp_path, specs(seeds=len(attempts)))[: len(attempts)]
    write_trials(planned, FACTS)
    found = read_trials(planned)
    return [one.model_copy(update={"attempts": made}) for one, made in zip(found, attempts, strict=True)]


def test_a_library_that_only_some_networks_use_is_no_difference_but_two_versions_of_it_are(tmp_path: Path) -> None:
    numpy = {"numpy": "2.4.0"}
    plain, older, newer = (begun(libraries=numpy | timm) for timm in ({}, {"timm": "1.0.1"}, {"timm": "1.0.2"}))
    assert kinds(records(tmp_path / "one", (plain,), (older,))) == {"": 2}
    assert kinds(records(tmp_path / "two", (plain,), (older,), (newer,))) == {"": 1, "timm 1.0.1": 1, "timm 1.0.2": 1}


@pytest.mark.parametrize(
    ("asked", "counted"), [(("fp32", "bf16"), {"": 2}), (("auto", "auto"), {"fp32": 1, "bf16": 1})]
)
def test_a_precision_that_was_asked_for_is_no_difference_but_one_that_was_not_is(
    asked: tuple[str, str], counted: dict[str, int], tmp_path: Path
) -> None:
    found = records(tmp_path, (begun(precision="fp32"),), (begun(precision="bf16"),))
    specs = [dataclasses.replace(one.spec, precision=name) for one, name in zip(found, asked, strict=True)]
    assert kinds([one.model_copy(update={"spec": spec}) for one, spec in zip(found, specs, strict=True)]) == counted


def test_a_trial_that_went_on_elsewhere_is_of_both_kinds(tmp_path: Path) -> None:
    moved = (begun(), begun(after_epochs=2, instruction_set="AVX512"))
    lost = (begun(instruction_set="AVX512"), begun(after_epochs=0))  # none of its epochs is in the result
    assert kinds(records(tmp_path, moved, lost, (begun(),))) == {"AVX2": 2, "AVX2 then AVX512": 1}
