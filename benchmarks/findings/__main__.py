"""Write docs/findings.md from the committed reports of its studies: `python -m benchmarks.findings`."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import jinja2

from benchmarks.findings.evidence import evidence
from benchmarks.harness.tables import save
from pipelines.core.console import run_stage

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 118
TEMPLATE = Path(__file__).parent / "findings.md.j2"


def render(reports: Path) -> str:
    """The document, with the figures of the reports in `reports`.

    Raises:
        StageError: if the report of a study is not there.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"points": "{:+.2f}".format, "score": "{:.2f}".format, "share": "{:.0%}".format}
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(evidence(reports))
    return "\n\n".join(map(_wrapped, text.strip().split("\n\n"))) + "\n"


def _wrapped(block: str) -> str:
    """A paragraph or a list in lines of the house's width; tables, headings and pictures as they are."""
    if block.startswith(("|", "#", "!")):
        return block
    items = re.split(r"\n(?=- )", block)
    wrap = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(
        "\n".join(wrap.wrap(" ".join(item.split()))).replace("\n", "\n  " if item.startswith("- ") else "\n")
        for item in items
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.findings", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reports", type=Path, default=ROOT / "reports", help="folder of reports (default: reports)")
    parser.add_argument(
        "--document", type=Path, default=ROOT / "docs" / "findings.md", help="to write (default: docs/findings.md)"
    )
    given = parser.parse_args(arguments)
    save(given.document, render(given.reports))


if __name__ == "__main__":
    run_stage(main)
