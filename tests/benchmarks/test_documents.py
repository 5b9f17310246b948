"""The figures of docs/performance.md, docs/models.md and docs/grid.md are those that the benchmarks wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.documents import DOCS, SOURCES, main, tables_of
from benchmarks.harness.tables import places

UNMEASURED = {"losses-cuda", "packing-cuda", "graphs-cuda"}
"""They wait for a GPU."""


def test_every_table_is_what_its_benchmark_wrote(tmp_path: Path) -> None:
    for name in SOURCES:
        shutil.copy(DOCS / name, tmp_path)
    main(["--docs", str(tmp_path)])
    for name in SOURCES:
        assert (tmp_path / name).read_text() == (DOCS / name).read_text()


@pytest.mark.parametrize("name", SOURCES)
def test_every_place_has_a_table(name: str) -> None:
    assert set(places((DOCS / name).read_text())) - UNMEASURED == set(tables_of(DOCS / name)) - UNMEASURED
