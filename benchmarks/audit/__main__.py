"""Compute every figure of `docs/audit.md` and write it there: `python -m benchmarks.audit`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.audit import losses, metrics, weightings
from benchmarks.harness.script import show
from benchmarks.harness.tables import Table, rewrite

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "audit.md"

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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="to write into (default: docs/audit.md)")
    document = parser.parse_args(arguments).document
    torch.set_num_threads(1)
    tables = {name: figures() for name, figures in FIGURES.items()}
    show(tables)
    rewrite(document, tables)


if __name__ == "__main__":
    main()
