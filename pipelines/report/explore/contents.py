"""All that the page's scripts read, as one value of JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.pages.html import TEMPLATES as PAGE_TEMPLATES
from pipelines.report.data import DataFacts
from pipelines.report.explore.costs import costs
from pipelines.report.explore.histories import histories, points_of
from pipelines.report.explore.images import images_of
from pipelines.report.explore.sources import scores_of, trials_of
from pipelines.report.layout import Layout
from pipelines.report.names import HEADLINES, Metric
from pipelines.report.tables import Table

SCRIPTS = ("base", "tables", "sources", "chosen", "histories", "images", "costs")
UPLOT = Path("vendor") / "uplot"


def read_parts(templates: Path) -> tuple[str, list[str]]:
    """The page's style, and its scripts: the plotting library, and ours in one."""
    styles = [PAGE_TEMPLATES / "page.css", templates / "explore.css", templates / UPLOT / "uPlot.min.css"]
    ours = "\n".join((templates / "js" / f"{name}.js").read_text() for name in SCRIPTS)
    return "\n".join(path.read_text() for path in styles), [(templates / UPLOT / "uPlot.iife.min.js").read_text(), ours]


def contents(
    study: str, layout: Layout, tables: Sequence[Table], explored: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """What can be explored of each data set, and the scores that the tables print."""
    return {"study": study, "scores": scores_of(layout, tables), "datasets": explored}


def explore(layout: Layout, facts: Mapping[str, DataFacts]) -> dict[str, dict[str, Any]]:
    """What can be explored of each data set: costs, histories and images of its configurations."""
    points = points_of(sum(map(len, layout.rows.values())))
    return {name: _dataset(layout, facts[name], points) for name in layout.datasets}


def _dataset(layout: Layout, facts: DataFacts, points: int) -> dict[str, Any]:
    rows = layout.rows[facts.name]
    protocol, metric, label = HEADLINES[facts.task][0]
    scale = Metric(metric).scale
    spent = costs(rows, facts)
    return {
        "title": facts.title,
        "headline": label,
        "configurations": [
            {
                "name": row.configuration,
                "baseline": row.baseline,
                "trials": trials_of(row),
                "quality": [_finite(scale * r.test.get(protocol, {}).get(metric, math.nan)) for r in row.records],
                **cost,
            }
            for row, cost in zip(rows, spent, strict=True)
        ],
        "histories": [histories(row, points) for row in rows],
        "images": images_of(rows, facts),
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
