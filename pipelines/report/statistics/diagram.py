"""Critical-difference diagrams: ranks on a line, and a bar over those that cannot be told apart."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from pipelines.pages.drawing import INK, Picture, save, styled
from pipelines.papers.inference import ALPHA
from pipelines.report.statistics.ranks import Standings

NAME_WIDTH = 46
"""Characters of a configuration's name before it is broken."""


@styled
def draw_ranks(placed: Standings, folder: Path) -> Picture | None:
    """Demšar's diagram of one headline score; None where ranks were not told apart pair by pair."""
    if placed.nemenyi.empty:
        return None
    import scikit_posthocs  # see `ranks`

    names = {line.configuration: textwrap.fill(line.configuration, NAME_WIDTH) for line in placed.lines}
    ranks = pd.Series({names[line.configuration]: line.rank for line in placed.lines})
    pairs = placed.nemenyi.rename(index=names, columns=names)
    longest = max(len(part) for name in names.values() for part in name.split("\n"))
    figure = Figure(figsize=(4.4 + 0.13 * longest, 1.3 + 0.15 * len(names)), layout="constrained")
    axes = figure.subplots()
    scikit_posthocs.critical_difference_diagram(
        ranks,
        pairs,
        ax=axes,
        alpha=ALPHA,
        label_fmt_left="{label}  {rank:.1f}",
        label_fmt_right="{rank:.1f}  {label}",
        label_props={"fontsize": 8},
        elbow_props={"color": INK, "linewidth": 0.8},
        crossbar_props={"color": "#d55e00", "linewidth": 2.6},
        text_h_margin=0.02,
        marker_props={"color": INK, "s": 12},
    )
    axes.grid(visible=False)
    apart = int((placed.nemenyi.to_numpy() < ALPHA).sum()) // 2
    total = len(names) * (len(names) - 1) // 2
    return save(
        figure,
        folder,
        f"ranks_{placed.name}",
        heading=f"Ranks: {placed.label}",
        caption=(
            f"Critical-difference diagram of {placed.label}: mean rank over {placed.number} {placed.blocks} "
            f"({', '.join(placed.datasets)}), 1 is best. A bar joins configurations that Nemenyi's test does not tell "
            f"apart at 5 %; it tells {apart} of {total} pairs apart.{placed.friedman}"
        ),
        alternative=f"Mean ranks of {len(names)} configurations on a line; the table of ranks holds the numbers.",
    )
