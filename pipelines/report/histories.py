"""How weights and losses move during training (the paper's figures 4 and 5), and how validation scores rise."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipelines.report.drawing import Picture, label_bottoms, label_ends, new_grid, save, styled
from pipelines.report.layout import Layout, Row, value_label
from pipelines.report.names import Metric, loss_colours, printed, weighting_colours

POINTS = 150
"""Longer histories are averaged into this many stretches of equal length."""
MOST_FIGURES = 4


@styled
def draw_weights(layout: Layout, dataset: str, folder: Path) -> list[Picture]:
    """Figure 4: the weight of every base loss at each step, rows by weighting, columns by auxiliary loss."""
    moving = [row for row in layout.rows[dataset] if _moves(row)]
    return _draw_all(
        layout,
        dataset,
        moving,
        folder,
        prefix="weight",
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
    return _draw_all(
        layout,
        dataset,
        layout.rows[dataset],
        folder,
        prefix="loss",
        heading="Loss histories",
        axis_label="Loss",
        caption=(
            "Value of each base loss on the training batches: mean over seeds (strong) and single seeds (faint). "
            "The paper's figure 5."
        ),
    )


@styled
def draw_validation(layout: Layout, dataset: str, folder: Path, metric: str) -> Picture | None:
    """Validation score by epoch: a panel for each block of the table, a line for each row, the baseline in all."""
    rows = [row for row in layout.rows[dataset] if f"val/{metric}" in row.records[0].epoch_table]
    if not rows:
        return None
    baseline = next((row for row in rows if row.baseline), None)
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row is not baseline or len(rows) == 1:
            blocks.setdefault(row.block, []).append(row)
    columns = min(len(blocks), 4)
    lines = -(-len(blocks) // columns)
    figure, grid = new_grid(lines, columns, width=3.1 if columns > 1 else 6.0, height=2.7, sharex=True, sharey=True)
    colours = line_colours(layout, rows)
    for axes, (block, members) in zip(grid.flat, blocks.items(), strict=False):
        for row in [*members, *([baseline] if baseline and baseline not in members else [])]:
            _draw_band(axes, row, f"val/{metric}", colours[row.configuration])
        axes.set_title(_panel_title(layout, block, members[0]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    for axes in grid.flat[len(blocks) :]:
        axes.set_axis_off()
    label_bottoms(grid, "Epoch")
    for axes in grid[:, 0]:
        axes.set_ylabel(f"Validation {Metric(metric).label} (%)")
    key = {row.labels[-1] + (" (baseline)" if row.baseline else ""): row for row in rows}
    handles = [
        Line2D([], [], color=colours[row.configuration], linestyle="--" if row.baseline else "-")
        for row in key.values()
    ]
    figure.legend(handles, list(key), loc="outside lower center", ncols=min(len(key), 6))
    label = Metric(metric).label
    return save(
        figure,
        folder,
        f"{dataset}_validation",
        heading="Validation curves",
        caption=f"Validation {label} by epoch: mean over seeds, band from the lowest to the highest seed.",
        alternative=f"Line charts of validation {label} by epoch on {dataset}, one panel for each block of the table.",
    )


def _draw_all(
    layout: Layout,
    dataset: str,
    rows: Sequence[Row],
    folder: Path,
    *,
    prefix: str,
    heading: str,
    axis_label: str,
    caption: str,
) -> list[Picture]:
    """One figure for each combination of the axes other than weighting and auxiliary, at most MOST_FIGURES."""
    outer = [axis for axis in layout.axes if axis not in ("weighting", "auxiliary")]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(value_label(row.spec, axis) for axis in outer), []).append(row)
    pictures = []
    for number, (values, members) in enumerate(list(groups.items())[:MOST_FIGURES]):
        named = ", ".join(f"{printed(axis)} {value}" for axis, value in zip(outer, values, strict=True))
        left_out = f" The first {MOST_FIGURES} of {len(groups)} are drawn." if len(groups) > MOST_FIGURES else ""
        figure_name = f"{dataset}_{prefix}_histories" + (f"_{number + 1}" if len(groups) > 1 else "")
        pictures.append(
            _draw_one(
                members,
                folder,
                figure_name,
                prefix,
                axis_label,
                heading=heading + (f": {named}" if named else ""),
                caption=caption + left_out,
            )
        )
    return pictures


def _draw_one(
    rows: Sequence[Row], folder: Path, name: str, prefix: str, axis_label: str, *, heading: str, caption: str
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
            ends = _draw_histories(axes, row, prefix, colours)
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
            f"Line charts of the {prefix} of {', '.join(colours)} against epochs; "
            f"rows: {', '.join(map(printed, weightings))}; "
            f"columns: {', '.join(printed(auxiliary or 'no auxiliary') for auxiliary in auxiliaries)}."
        ),
    )


def _draw_histories(axes: Axes, row: Row, prefix: str, colours: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Draw a row's histories; returns where each mean line ends."""
    ends = {}
    for loss in row.spec.losses:
        name, column = printed(loss), f"{prefix}/{loss}"
        seeds = [_thin(record.history, column) for record in row.records]
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
    epochs = int(history["epoch"].max()) - int(history["epoch"].min()) + 1
    place = (np.arange(count) + 1) / count * epochs
    stretch = np.arange(count) * min(POINTS, count) // count
    sizes = np.bincount(stretch)
    return np.bincount(stretch, weights=place) / sizes, np.bincount(stretch, weights=values) / sizes


def _draw_band(axes: Axes, row: Row, column: str, colour: str) -> None:
    tables = [record.epoch_table for record in row.records]
    length = min(len(table) for table in tables)
    scores = 100 * np.array([table[column].to_numpy(dtype=float)[:length] for table in tables])
    epochs = np.arange(1, length + 1)
    line, marker = "--" if row.baseline else "-", "o" if length == 1 else ""
    axes.plot(epochs, scores.mean(axis=0), color=colour, linestyle=line, marker=marker, linewidth=1.4)
    axes.fill_between(epochs, scores.min(axis=0), scores.max(axis=0), color=colour, alpha=0.13, linewidth=0)


def line_colours(layout: Layout, rows: Sequence[Row]) -> dict[str, str]:
    """By weighting; where weighting does not vary, by the innermost label."""
    keys = {row.configuration: row.spec.weighting if "weighting" in layout.axes else row.labels[-1] for row in rows}
    colours = weighting_colours(keys.values())
    return {configuration: colours[key] for configuration, key in keys.items()}


def _panel_title(layout: Layout, block: tuple[str, ...], row: Row) -> str:
    if row.baseline:
        return row.configuration
    title = ", ".join(f"{printed(axis)}: {value}" for axis, value in zip(layout.axes, block, strict=False))
    return textwrap.fill(title or "All", 36)


def _moves(row: Row) -> bool:
    return any(
        float(np.ptp(record.history[f"weight/{loss}"].to_numpy(dtype=float))) > 1e-6
        for record in row.records
        for loss in row.spec.losses
    )
