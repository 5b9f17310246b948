"""Differences to the baseline with their uncertainty: one line a configuration, one panel a score."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from pipelines.pages.drawing import FAINT, INK, Picture, new_grid, save, styled
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, averaged
from pipelines.report.names import Metric, weighting_colours
from pipelines.report.statistics import Comparison

# The lesion score readers expect first, then what the paper ranks by.
_PANELS = (
    ("per_image", "dice"),
    ("reference", "dice"),
    ("reference", "cb_dice"),
    ("macro", "f1"),
    ("weighted", "f1"),
)

NAME_WIDTH = 60
"""Characters of a configuration's name before it is broken."""


@styled
def draw_forest(layout: Layout, facts: DataFacts, comparisons: Sequence[Comparison], folder: Path) -> Picture | None:
    """Mean difference (dot), 95 % t interval (bar) and every seed (tick) of each configuration against the baseline."""
    dataset = facts.name
    found = {(c.protocol, c.metric, c.configuration): c for c in comparisons if c.dataset == dataset}
    panels = [panel for panel in _PANELS if any(key[:2] == panel for key in found)]
    if not panels:
        return None
    rows = [row for row in layout.rows[dataset] if not row.baseline]
    colours = weighting_colours(row.spec.weighting for row in rows)
    across = {c.configuration for c in comparisons if c.dataset == dataset and c.across_environments}
    drawn = [c for row in rows if (c := found.get((*panels[0], row.configuration)))]
    labels = [" · ".join(row.labels) + " ‡" * (row.configuration in across) for row in rows]
    names = [textwrap.fill(label, NAME_WIDTH) for label in labels]
    room = 0.07 * min(NAME_WIDTH, max(map(len, names))) / len(panels)
    line = 0.27 + 0.13 * max(name.count("\n") for name in names)
    figure, grid = new_grid(1, len(panels), width=2.9 + room, height=1.2 + line * len(rows), sharey=True)
    for axes, (protocol, metric) in zip(grid[0], panels, strict=True):
        axes.axvline(0, color=INK, linewidth=0.9)
        for place, row in enumerate(rows):
            comparison = found.get((protocol, metric, row.configuration))
            if comparison is None:
                continue
            colour = colours[row.spec.weighting]
            axes.plot([comparison.low, comparison.high], [place, place], color=colour, linewidth=2.2, alpha=0.55)
            axes.plot(comparison.differences, [place] * comparison.seeds, "|", color=colour, markersize=8)
            axes.plot(comparison.mean, place, "o", color=colour, markersize=6)
        axes.set_title(f"{Metric(metric).label}\n{facts.protocols[protocol].title}", fontsize=8.5)
        axes.set_xlabel("Difference to the baseline\n(percentage points)")
        axes.grid(axis="y", visible=False)
    grid[0, 0].set_yticks(range(len(rows)), names)
    grid[0, 0].set_ylim(len(rows) - 0.4, -0.6)
    for axes in grid[0]:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_color(FAINT)
    baseline = next(c.baseline for c in found.values())
    return save(
        figure,
        folder,
        f"{dataset}_differences",
        heading="Differences to the baseline",
        caption=(
            f"Paired difference of each configuration to the baseline ({baseline}): mean (dot), 95 % t interval (bar) "
            f"and the single pairs (ticks). Right of zero is better.{averaged(rows)}"
            + " ‡: some pairs were trained on different kinds of machine or library."
            * bool(across)
        ),
        alternative=(
            f"Forest plot of the differences to the baseline on {dataset}. "
            f"{sum(c.clear for c in drawn)} of {len(drawn)} intervals in the first panel exclude zero; the comparison "
            "table holds the numbers."
        ),
    )
