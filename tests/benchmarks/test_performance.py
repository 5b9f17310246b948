"""The figures of docs/performance.md are those that the benchmarks wrote."""

from __future__ import annotations

from benchmarks.audit.tables import places
from benchmarks.performance import DOCUMENT, RESULTS, TABLES, filled


def test_every_table_is_what_its_benchmark_wrote() -> None:
    document = DOCUMENT.read_text()
    assert set(places(document)) == set(TABLES)
    assert filled(document) == document


def test_the_figures_of_a_processor_are_there() -> None:
    assert {"throughput.json", "roofline.json", "packing_cpu.json"} <= {path.name for path in RESULTS.iterdir()}
