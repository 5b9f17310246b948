"""Write the tables of docs/performance.md, docs/models.md and docs/grid.md from the results of their benchmarks.

python -m benchmarks.documents
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import chaos, graphs, loading, losses, models, packing, roofline, soak, throughput, weightings
from benchmarks.harness.script import RESULTS, Results, read
from benchmarks.harness.tables import Table, places, rewrite

DOCS = Path(__file__).resolve().parents[1] / "docs"
SOURCES: dict[str, dict[str, Callable[[Results], Mapping[str, Table]]]] = {
    "performance.md": {
        "throughput": throughput.tables,
        "losses_cpu": losses.tables,
        "losses_cuda": losses.tables,
        "weightings": weightings.tables,
        "loading": loading.tables,
        "roofline": roofline.tables,
        "packing_cpu": packing.tables,
        "packing_cuda": packing.tables,
        "graphs_cpu": graphs.tables,
        "graphs_cuda": graphs.tables,
    },
    "models.md": {"models": models.tables},
    "grid.md": {"chaos": chaos.tables, "soak": soak.tables},
}
"""Of each document: the results and how they are shown. A document takes the tables for which it has a place."""


def tables_of(document: Path) -> dict[str, Table]:
    """The tables of a document of whose benchmarks there are results."""
    wanted = places(document.read_text(encoding="utf-8"))
    found: dict[str, Table] = {}
    for name, tables in SOURCES[document.name].items():
        if (RESULTS / f"{name}.json").is_file():
            found |= tables(read(RESULTS / f"{name}.json"))
    return {name: table for name, table in found.items() if name in wanted}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the documents (default: docs)")
    for name in SOURCES:
        document = parser.parse_args(arguments).docs / name
        rewrite(document, tables_of(document))


if __name__ == "__main__":
    main()
