"""The report's crate: every file with its checksum, and every change of one found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.report.build import build_report
from pipelines.report.crate import METADATA, broken_files
from pipelines.report.results import StudyFacts
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planned = plan_trials(tmp_path_factory.mktemp("trials"), paper_specs(seeds=1))
    write_trials(planned, make_facts())
    reports, facts = tmp_path_factory.mktemp("reports"), {"phantom": make_facts()}
    return build_report(StudyFacts("s", "A study", []), planned, "fixed · none", facts, reports).parent


def test_it_lists_every_file_with_its_checksum_and_what_it_was_made_of(built: Path) -> None:
    crate = json.loads((built / METADATA).read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert entities[METADATA]["about"] == {"@id": "./"}
    files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()} - {METADATA}
    assert {part["@id"] for part in entities["./"]["hasPart"]} == files
    for name in files:
        assert entities[name]["sha256"] == file_checksum(built / name)
        assert entities[name]["contentSize"] == str((built / name).stat().st_size)
    (used,) = entities["#trainings"]["object"]
    assert entities[used["@id"]]["citation"]
    everything = json.dumps(crate["@graph"])
    for entity in crate["@graph"]:  # nothing is referred to that is not described, but for addresses
        for value in entity.values():
            for target in value if isinstance(value, list) else [value]:
                if isinstance(target, dict) and not target["@id"].startswith("https://"):
                    assert target["@id"] in entities, everything


def test_what_was_changed_added_or_taken_away_is_named(built: Path) -> None:
    assert broken_files(built) == []
    table, page, extra = built / "tables" / "scores.csv", built / "index.html", built / "tables" / "mine.csv"
    kept, text = table.read_bytes(), page.read_text()
    table.unlink()
    page.write_text(text + " ")
    extra.write_text("1")
    expected = ["tables/scores.csv: missing", "tables/mine.csv: no part of the report", "index.html: changed since"]
    assert broken_files(built) == expected
    table.write_bytes(kept)
    page.write_text(text)
    extra.unlink()
    assert broken_files(built) == []


def test_a_report_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"ro-crate-metadata.json is missing or damaged .*dvc repro --force report"):
        broken_files(tmp_path)
