"""The archive of records that a report carries: the same bytes for the same records, and an error that names it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipelines.core.console import StageError
from pipelines.trials.bundle import ARCHIVE, CARRIED, read_bundle, read_image_table, unpacked, write_bundle
from pipelines.trials.finished import read_trials
from pipelines.trials.record import TrialRecord
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials

TABLE = pd.DataFrame({"image": ["a", "b"], "images": ["0f", "NA"]})


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    planned = plan_trials(tmp_path_factory.mktemp("trials"), paper_specs(seeds=2))
    write_trials(planned, make_facts())
    return read_trials(planned)


@pytest.fixture
def report(tmp_path: Path, records: list[TrialRecord]) -> Path:
    write_bundle(records, {"phantom-16.csv": TABLE}, tmp_path / "report")
    return tmp_path / "report"


def test_every_file_comes_out_as_it_went_in(report: Path, records: list[TrialRecord]) -> None:
    with unpacked(report) as carried:
        found = {record.identifier: record for record in read_bundle(carried)}
        assert found.keys() == {record.identifier for record in records}
        for record in records:
            for name in CARRIED:
                assert (found[record.identifier].folder / name).read_bytes() == (record.folder / name).read_bytes()
        pd.testing.assert_frame_equal(read_image_table(carried, "phantom", 16), TABLE)
        with pytest.raises(StageError, match=r"carries no phantom-32\.csv"):
            read_image_table(carried, "phantom", 32)
    assert not carried.exists()


def test_the_same_records_in_any_order_and_number_give_the_same_bytes(
    report: Path, records: list[TrialRecord], tmp_path: Path
) -> None:
    write_bundle([*reversed(records), records[0]], {"phantom-16.csv": TABLE}, tmp_path)
    assert (tmp_path / ARCHIVE).read_bytes() == (report / ARCHIVE).read_bytes()


def test_what_trials_have_in_common_is_stored_once(report: Path, records: list[TrialRecord]) -> None:
    alone = sum((record.folder / name).stat().st_size for record in records for name in CARRIED)
    assert (report / ARCHIVE).stat().st_size < alone / 2


def test_an_archive_that_is_missing_cut_short_or_damaged_is_named(report: Path) -> None:
    path = report / ARCHIVE
    whole = path.read_bytes()
    for spoilt in (whole[: len(whole) // 2], b"\0" * 99, b"", whole[:90] + b"\xff" * 60 + whole[150:]):
        path.write_bytes(spoilt)
        with pytest.raises(StageError, match=rf"{ARCHIVE} is damaged: .+ Make it again"), unpacked(report):
            pass
    path.unlink()
    with pytest.raises(StageError, match=rf"{ARCHIVE} is missing\. Make the report first"), unpacked(report):
        pass
