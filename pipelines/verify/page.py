"""The verdict as a page and as JSON: `<reports>/verify/<study>.html` and `.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.core.files import write_atomically
from pipelines.pages.html import new_environment
from pipelines.verify.compare import HELD, SCORES, TOLERANCES, Comparison, Outcome

TEMPLATES = Path(__file__).parent / "templates"


def write_verdict(found: Sequence[Comparison], study: str, reports: Path) -> Path:
    """Write both files; returns the page."""
    page, data = (reports / "verify" / f"{study}.{suffix}" for suffix in ("html", "json"))
    counted = Counter(one.outcome for one in found)
    rows = [row_of(one) for one in found]
    html = (
        new_environment(TEMPLATES)
        .get_template("verify.html")
        .render(study=study, rows=rows, counted={outcome: counted[outcome] for outcome in Outcome if counted[outcome]},
                tolerances=TOLERANCES, held=HELD, scores=SCORES)
    )  # fmt: skip
    write_atomically(data, lambda path: path.write_text(json.dumps(rows, indent=1) + "\n"))
    write_atomically(page, lambda path: path.write_text(html))
    return page


def row_of(one: Comparison) -> dict[str, Any]:
    """What both files say about a trial."""
    spec = one.record.spec
    return {
        "trial": one.record.identifier,
        "configuration": one.record.configuration,
        "dataset": spec.dataset,
        "seed": spec.seed,
        "steps": one.steps,
        "whole": one.whole,
        "outcome": one.outcome.value,
        "surroundings": [asdict(difference) for difference in one.surroundings],
        "differences": [asdict(difference) for difference in one.differences],
    }
