"""Compute every figure of `docs/audit.md` and write it there: `python -m benchmarks.audit`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.audit import losses, metrics, weightings
from benchmarks.audit.tables import Table, insert
from pipelines.core.console import say
from pipelines.core.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "audit.md"

FIGURES: dict[str, Callable[[], Table]] = {
    "gradients": losses.gradients,
    "direction": losses.direction,
    "attached": weightings.attached,
    "median": weightings.median,
    "collapse": weightings.collapse,
    "collapse-oracle": weightings.collapse_oracle,
    "constant": weightings.constant,
    "warm-up": weightings.warm_up,
    "auxiliary-share": weightings.auxiliary_share,
    "focal": losses.focal,
    "class-weights": losses.class_weights,
    "protocols": metrics.protocols,
    "background": metrics.background,
    "published": metrics.published,
    "empty": metrics.empty,
}


def main() -> None:
    torch.set_num_threads(1)
    tables = {name: figures() for name, figures in FIGURES.items()}
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables.items():
        document = insert(document, name, table)
        say(f"\n{name}\n{table.markdown()}")

    def write(path: Path) -> None:
        path.write_text(document, encoding="utf-8")

    write_atomically(DOCUMENT, write)
    say(f"\nWrote {len(tables)} tables into {DOCUMENT.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
