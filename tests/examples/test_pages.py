"""Pages of trainers: one for each program, and the versions that it was run with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.places import ROOT

PAGES = sorted(ROOT.glob("docs/trainers/*.md"))
PROGRAMS = {path.name for path in ROOT.glob("examples/*.py")} - {"shapes.py"}
LOCKED = set(re.findall(r"^([\w-]+==[\w.]+)", (ROOT / "examples/requirements.lock").read_text("utf-8"), re.MULTILINE))


def test_each_program_has_a_page_and_each_page_a_row_in_the_table() -> None:
    texts = [page.read_text("utf-8") for page in PAGES]
    linked = [name for text in texts for name in re.findall(r"\]\(../../examples/(\w+\.py)\)", text)]
    assert sorted(linked) == sorted(PROGRAMS)
    table = (ROOT / "docs/trainers.md").read_text("utf-8")
    assert [page.name for page in PAGES if f"](trainers/{page.name})" not in table] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_versions_are_those_that_are_run(page: Path) -> None:
    assert set(re.findall(r"\b[\w-]+==[\w.]+", page.read_text("utf-8"))) <= LOCKED
