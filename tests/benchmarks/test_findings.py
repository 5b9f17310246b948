"""docs/findings.md says what the committed reports say, and no number in it was typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.findings.__main__ import ROOT, TEMPLATE, render
from benchmarks.findings.evidence import STUDIES, leakage
from pipelines.core.console import StageError
from pipelines.report.crate import broken_files

LEVELS = {"95", "5"}
"""Of intervals and tests, in percent."""


def test_every_number_is_that_of_the_committed_reports() -> None:
    assert (ROOT / "docs/findings.md").read_text() == render(ROOT / "reports")


def test_no_number_is_typed_into_the_template() -> None:
    prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|`[^`\n]+`|\]\([^)]*\)", "", TEMPLATE.read_text(), flags=re.DOTALL)
    assert set(re.findall(r"\d+", prose)) <= LEVELS


@pytest.mark.parametrize("study", STUDIES)
def test_the_reports_are_as_they_were_made(study: str) -> None:
    assert broken_files(ROOT / "reports" / study) == []


def test_leakage_is_what_relatives_in_train_give_beyond_repeated_pictures() -> None:
    dice = {
        ("random", "all"): 0.55, ("random", "with a relative in train"): 0.60, ("random", "without one"): 0.52,
        ("grouped", "all"): 0.53, ("grouped", "of a repeated picture"): 0.50, ("grouped", "of a single picture"): 0.54,
    }  # fmt: skip
    rows = [{"split": split, "test_images": part, "dice": mean, "std": 0.01} for (split, part), mean in dice.items()]
    found = leakage({"per_image": rows})
    assert (found["leaked"], found["control"], found["worth"]) == pytest.approx((8, -4, 12))


def test_a_report_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=f"dvc repro -S study={STUDIES[0]}"):
        render(tmp_path)
