"""How weights and losses move from step to step (figures 4 and 5 of the DMF paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipelines.pages.drawing import Picture, label_bottoms, label_ends, new_grid, save, styled
from pipelines.report.layout import Layout, Row
from pipelines.report.names import loss_colours, printed
from pipelines.trials.columns import HistoryColumns

POINTS = 150
"""Longer histories are averaged into this many stretches of equal length."""
MOST_FIGURES = 4

Column = Callable[[str], str]
"""Which column of a history belongs to a loss."""


@styled
def draw_weights(layout: Layout, dataset: str, folder: Path) -> list[Picture]:
    """Figure 4: the weight of every base loss at each step, rows by weighting, columns by auxiliary loss."""
    moving = [row for row in layout.rows[dataset] if _moves(row)]
    return _draw_all(
        layout,
        dataset,
        moving,
        folder,
        kind="weight",
        column=HistoryColumns.weight,
        heading="Weight histories",
        axis_label="Weight",
        caption=(
            "Weight of each base loss during training: mean over seeds (strong) and single seeds (faint). "
            "Weightings that never move are left out. The paper's figure 4."
        ),
    )


@styled
def draw_losses(layout: Layout, dataset: str, folder: Path) -> list[Picture]:
    """Figure 5: every base loss at each step, rows by weighting, columns by auxiliary loss."""
    several = [row for row in layout.rows[dataset] if len(row.spec.losses) > 1]
    return _draw_all(
        layout,
        dataset,
        several,
        folder,
        kind="loss",
        column=HistoryColumns.loss,
        heading="Loss histories",
        axis_label="Loss",
        caption=(
            "Value of each base loss on the training batches: mean over seeds (strong) and single seeds (faint). "
            "Trainings by one loss are left out. The paper's figure 5."
        ),
    )


def _draw_all(
    layout: Layout,
    dataset: str,
    rows: Sequence[Row],
    folder: Path,
    *,
    kind: str,
    column: Column,
    heading: str,
    axis_label: str,
    caption: str,
) -> list[Picture]:
    """One figure for each combination of the axes other than weighting and auxiliary, at most MOST_FIGURES."""
    outer = [axis for axis in layout.axes if axis not in ("weighting", "auxiliary")]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        labels = dict(zip(layout.axes, row.labels, strict=True))
        groups.setdefault(tuple(labels[axis] for axis in outer), []).append(row)
    pictures = []
    for number, (values, members) in enumerate(list(groups.items())[:MOST_FIGURES]):
        named = ", ".join(f"{printed(axis)} {value}" for axis, value in zip(outer, values, strict=True))
        left_out = f" The first {MOST_FIGURES} of {len(groups)} are drawn." if len(groups) > MOST_FIGURES else ""
        figure_name = f"{dataset}_{kind}_histories" + (f"_{number + 1}" if len(groups) > 1 else "")
        pictures.append(
            _draw_one(
                members,
                folder,
                figure_name,
                column,
                axis_label,
                heading=heading + (f": {named}" if named else ""),
                caption=caption + left_out,
            )
        )
    return pictures


def _draw_one(
    rows: Sequence[Row], folder: Path, name: str, column: Column, axis_label: str, *, heading: str, caption: str
) -> Picture:
    weightings = list(dict.fromkeys(row.spec.weighting for row in rows))
    auxiliaries = list(dict.fromkeys(row.spec.auxiliary for row in rows))
    losses = list(dict.fromkeys(loss for row in rows for loss in row.spec.losses))
    colours = {printed(loss): colour for loss, colour in loss_colours(losses).items()}
    columns = max(sum(row.spec.weighting == weighting for row in rows) for weighting in weightings)
    width = 2.7 if columns > 1 else 6.0
    figure, grid = new_grid(len(weightings), columns, width=width, height=1.9, sharex=True, sharey="row")
    for line, weighting in zip(grid, weightings, strict=True):
        present = [row for row in rows if row.spec.weighting == weighting]
        present.sort(key=lambda row: auxiliaries.index(row.spec.auxiliary))
        for axes, row in zip(line, present, strict=False):
            ends = _draw_histories(axes, row, column, colours)
            auxiliary = row.spec.auxiliary
            against = "no auxiliary" if auxiliary is None else f"auxiliary {printed(auxiliary)}"
            axes.set_title(f"{printed(weighting)}, {against}", fontsize=8.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        label_ends(line[len(present) - 1], ends, colours, room=0.11, reserve=len(present) == len(line))
        line[0].set_ylabel(axis_label)
        for axes in line[len(present) :]:
            axes.set_axis_off()
    label_bottoms(grid, "Epoch")
    return save(
        figure,
        folder,
        name,
        heading=heading,
        caption=caption,
        alternative=(
            f"Line charts of the {axis_label.lower()} of {', '.join(colours)} against epochs; "
            f"rows: {', '.join(map(printed, weightings))}; "
            f"columns: {', '.join(printed(auxiliary or 'no auxiliary') for auxiliary in auxiliaries)}."
        ),
    )


def _draw_histories(axes: Axes, row: Row, column: Column, colours: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Draw a row's histories; returns where each mean line ends."""
    ends = {}
    for loss in row.spec.losses:
        name = printed(loss)
        seeds = [_thin(record.history, column(loss)) for record in row.records]
        shortest = min(len(values) for _, values in seeds)
        x, mean = seeds[0][0][:shortest], np.mean([values[:shortest] for _, values in seeds], axis=0)
        if len(seeds) > 1:
            for epochs, values in seeds:
                axes.plot(epochs, values, color=colours[name], alpha=0.25, linewidth=0.7)
        axes.plot(x, mean, color=colours[name])
        finite = np.isfinite(mean)
        ends[name] = (float(x[-1]), float(mean[finite][-1]) if finite.any() else 0.0)
    return ends


def _thin(history: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Epoch (with fraction) and value, averaged into at most POINTS stretches."""
    values = history[column].to_numpy(dtype=float)
    count = len(values)
    epochs = int(np.ptp(history[HistoryColumns.epoch])) + 1
    place = (np.arange(count) + 1) / count * epochs
    stretch = np.arange(count) * min(POINTS, count) // count
    sizes = np.bincount(stretch)
    return np.bincount(stretch, weights=place) / sizes, np.bincount(stretch, weights=values) / sizes


def _moves(row: Row) -> bool:
    return any(
        float(np.ptp(record.history[HistoryColumns.weight(loss)].to_numpy(dtype=float))) > 1e-6
        for record in row.records
        for loss in row.spec.losses
    )
