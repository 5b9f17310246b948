"""Rows whose trials began from random weights, although pretrained ones were to be had if available, are marked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dmf.models import IF_AVAILABLE
from pipelines.report.build import build_report
from pipelines.report.results import StudyFacts
from tests.support.report_trials import BASE, make_facts, plan_trials, write_trials

FACTS = make_facts()
CAPTION = "Pretrained weights were asked for if available; 1 of all 4 trials could not have them"


def report(folder: Path, without: int) -> Path:
    """Two seeds of a configuration and the baseline; `without` is the seed that could not have its weights."""
    base = dataclasses.replace(BASE, auxiliary=None, model_params={**BASE.model_params, "pretrained": IF_AVAILABLE})
    specs = [
        dataclasses.replace(base, seed=seed, weighting=name) for name in ("variance", "fixed") for seed in range(2)
    ]
    planned = plan_trials(folder / "trials", specs)
    write_trials(planned, FACTS, random_start=lambda spec: (spec.weighting, spec.seed) == ("variance", without))
    study = StudyFacts("s", "A study", [])
    return build_report(study, planned, "fixed · none", {"phantom": FACTS}, folder / "reports").parent


def test_the_row_is_marked_and_the_caption_says_what_the_mark_means(tmp_path: Path) -> None:
    made = report(tmp_path, without=1)
    text, typeset, page = (
        (made / name).read_text()
        for name in ("tables/phantom_per_image.md", "tables/phantom_per_image.tex", "index.html")
    )
    marked = [line for line in text.splitlines() if line.startswith("|") and "†" in line]
    assert [line.split("|")[1].strip() for line in marked] == ["Variance †"]
    assert f"† {CAPTION}" in text
    assert r"Variance $\dagger$ &" in typeset
    assert CAPTION in page
    assert "Variance †" in page
    assert "began from random ones" in page


def test_without_such_a_trial_nothing_is_marked(tmp_path: Path) -> None:
    made = report(tmp_path, without=7)
    for path in (*made.glob("tables/*.md"), *made.glob("tables/*.tex"), made / "index.html"):
        assert "†" not in path.read_text()
        assert "dagger" not in path.read_text()
