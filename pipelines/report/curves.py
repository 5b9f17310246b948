"""Scores and losses by epoch, how they rise in validation and fall in training; and scores by noise on the images."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipelines.pages.drawing import FAINT, INK, Picture, label_bottoms, new_grid, save, styled
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, Row
from pipelines.report.names import Metric, line_colours, printed, weighting_colours
from pipelines.trials.columns import EpochColumns
from pipelines.trials.record import TrialRecord

NAMED = 10
"""Lines that a figure tells apart by colour; of more, those that end best, and the others in grey."""

KEY_LINE, KEY_WIDTH = 0.2, 44
"""Height of a line of the key in inches, and its most characters."""

BANDS = 5
"""Lines of a panel that have a band each; those of more would cover one another."""

BAND = f"band from the lowest to the highest, in panels of up to {BANDS} lines"

Curve = Callable[[TrialRecord], np.ndarray]


@styled
def draw_validation(layout: Layout, dataset: str, folder: Path) -> Picture:
    """Validation score by epoch."""
    metric = _watched(layout.rows[dataset][0])
    column, label = EpochColumns.validation(metric), Metric(metric).label
    return _draw(
        layout,
        dataset,
        folder,
        lambda record: 100 * record.epoch_table[column].to_numpy(dtype=float),
        name="validation",
        heading="Validation curves",
        axis_label=f"Validation {label} (%)",
        caption=f"Validation {label} by epoch: mean over repeats; {BAND}.",
    )


@styled
def draw_convergence(layout: Layout, dataset: str, folder: Path) -> Picture | None:
    """Training loss by epoch, where losses are compared: figures 8 to 10 of the Adapt Exp paper on one scale."""
    if "losses" not in layout.axes:
        return None
    return _draw(
        layout,
        dataset,
        folder,
        lambda record: still_to_fall(record.epoch_table),
        name="convergence",
        heading="Convergence of the training loss",
        axis_label="Loss still to fall",
        caption=(
            "Mean training loss of each epoch, as a share of its way from the first epoch (1) to its lowest one (0), "
            f"since losses have scales of their own: mean over repeats; {BAND}. "
            "The Adapt Exp paper's figures 8 to 10."
        ),
    )


@styled
def draw_noise(layout: Layout, facts: DataFacts, folder: Path) -> Picture | None:
    """Test score against the noise on the test images, where the study asks for it: the Adapt Exp paper's table 10."""
    levels = (0.0, *layout.rows[facts.name][0].spec.test_noise)
    if len(levels) == 1:
        return None
    protocol, metric = ("per_image", "dice") if facts.task == "segmentation" else ("macro", "f1")
    names = [protocol, *(f"{protocol}@noise={level:g}" for level in levels[1:])]
    label = Metric(metric).label
    return _draw(
        layout,
        facts.name,
        folder,
        lambda record: 100 * np.array([record.test[name][metric] for name in names]),
        name="noise",
        heading="Scores under noise",
        axis_label=f"Test {label} (%)",
        caption=(
            f"Test {label} ({facts.protocols[protocol].title}) against the standard deviation of Gaussian noise on the "
            f"test images, in units of their range; trained without noise. Mean over repeats; {BAND}."
        ),
        across=levels,
        across_label="Noise (standard deviation)",
    )


@dataclass(frozen=True)
class Lines:
    """Which rows of a data set share a panel, and the name and colour of each one's line.

    Attributes:
        axes: the outermost axes of the table, as many as leave more than one line in most panels.
        panels: rows by their values of those axes, without the baseline, which is drawn in all.
        names: by configuration; the values of the other axes.
        colours: by name: the weighting's own where it is all that a name tells. Of too many names only the best in
            validation have one.
    """

    axes: tuple[str, ...]
    panels: Mapping[tuple[str, ...], Sequence[Row]]
    names: Mapping[str, str]
    colours: Mapping[str, str]


def divide(layout: Layout, dataset: str) -> Lines:
    """The lines of a data set's figures."""
    everything = layout.rows[dataset]
    rows = [row for row in everything if not row.baseline] or [*everything]
    divisions = ((count, _panels(rows, count)) for count in range(len(layout.axes) - 1, 0, -1))
    crowded = (pair for pair in divisions if 2 * sum(len(members) > 1 for members in pair[1].values()) > len(pair[1]))
    count, panels = next(crowded, (0, _panels(rows, 0)))
    names = {row.configuration: " · ".join(row.labels[count:]) for row in everything}
    drawn = list(dict.fromkeys(names[row.configuration] for row in rows))
    best = {name: max(_best(row) for row in rows if names[row.configuration] == name) for name in drawn}
    named = sorted(sorted(drawn, key=lambda name: -best[name])[:NAMED], key=drawn.index)
    weightings = {names[row.configuration]: row.spec.weighting for row in everything}
    if len(set(weightings.values())) == len(weightings):
        by_weighting = weighting_colours(weightings.values())
        colours = {name: by_weighting[weightings[name]] for name in named}
    else:
        colours = line_colours(named)
    return Lines(layout.axes[:count], panels, names, colours)


def _panels(rows: Sequence[Row], count: int) -> dict[tuple[str, ...], list[Row]]:
    panels: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        panels.setdefault(row.labels[:count], []).append(row)
    return panels


def _best(row: Row) -> float:
    column = EpochColumns.validation(_watched(row))
    return float(np.mean([record.epoch_table[column].max() for record in row.records]))


def _watched(row: Row) -> str:
    """The validation metric that selects the tested epoch; where none does, Dice or F1."""
    selection, columns = row.spec.selection, row.records[0].epoch_table.columns
    return selection if selection != "last" else "dice" if EpochColumns.validation("dice") in columns else "f1"


def _draw(
    layout: Layout,
    dataset: str,
    folder: Path,
    curve: Curve,
    *,
    name: str,
    heading: str,
    axis_label: str,
    caption: str,
    across: Sequence[float] | None = None,
    across_label: str = "Epoch",
) -> Picture:
    lines, baseline = divide(layout, dataset), layout.baseline(dataset)
    columns = min(len(lines.panels), 4)
    width, height = (3.1, 2.7) if columns > 1 else (9.0, 3.4)
    down = -(-len(lines.panels) // columns)
    figure, grid = new_grid(down, columns, width=width, height=height, sharex=True, sharey=True)
    for axes, (values, members) in zip(grid.flat, lines.panels.items(), strict=False):
        bands = len(members) <= BANDS
        for row in members:
            _draw_line(axes, row, curve, across, lines.colours.get(lines.names[row.configuration]), band=bands)
        if baseline and baseline not in members:
            _draw_line(axes, baseline, curve, across, INK, band=bands)
        axes.set_title(_title(lines.axes, values))
        axes.xaxis.set_major_locator(MaxNLocator(integer=across is None, nbins=6))
    for axes in grid.flat[len(lines.panels) :]:
        axes.set_axis_off()
    label_bottoms(grid, across_label)
    for axes in grid[:, 0]:
        axes.set_ylabel(axis_label)
    of_baseline = lines.names[baseline.configuration] if baseline else ""
    _add_key(figure, lines.colours, of_baseline)
    several = len(lines.colours) < len({*lines.names.values()} - {of_baseline})
    grey = f" The {NAMED} best in validation have a name, the others are grey." if several else ""
    return save(
        figure,
        folder,
        f"{dataset}_{name}",
        heading=heading,
        caption=caption + grey,
        alternative=(
            f"Line charts of {axis_label.lower()} by {across_label.lower()} on {dataset}, {len(lines.panels)} panels."
        ),
    )


def _add_key(figure: Figure, colours: Mapping[str, str], baseline: str) -> None:
    """Beside a single panel, below several."""
    handles = {textwrap.fill(name, KEY_WIDTH): Line2D([], [], color=colour) for name, colour in colours.items()}
    if baseline:
        handles[textwrap.fill(f"{baseline} (baseline)", KEY_WIDTH)] = Line2D([], [], color=INK, linestyle="--")
    names, artists = list(handles), list(handles.values())
    if len(figure.axes) == 1:
        figure.legend(artists, names, loc="outside right upper")
    else:
        width, height = figure.get_size_inches()
        columns = max(1, min(6, int(12 * width) // (min(KEY_WIDTH, max(map(len, names))) + 8)))
        lines = -(-len(names) // columns) * max(1 + name.count("\n") for name in names)
        figure.set_size_inches(width, height + KEY_LINE * lines)
        figure.legend(artists, names, loc="outside lower center", ncols=columns)


def _draw_line(
    axes: Axes, row: Row, curve: Curve, across: Sequence[float] | None, colour: str | None, *, band: bool
) -> None:
    """A line of its own colour, or a thin grey one, over its band; against `across` or the number of the epoch."""
    curves = [curve(record) for record in row.records]
    length = min(map(len, curves))
    values = np.array([one[:length] for one in curves])
    x = np.arange(1, length + 1) if across is None else np.array(across)
    marker = "o" if length == 1 or across is not None else ""
    if colour is None:
        axes.plot(x, values.mean(axis=0), color=FAINT, alpha=0.4, marker=marker, linewidth=0.8, zorder=1)
        return
    line = "--" if row.baseline else "-"
    axes.plot(x, values.mean(axis=0), color=colour, linestyle=line, marker=marker, markersize=4, linewidth=1.4)
    if band:
        axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.13, linewidth=0)


def still_to_fall(epochs: pd.DataFrame) -> np.ndarray:
    """Training loss by epoch on a scale from 1, the first epoch, to 0, the lowest; 1 throughout if it never falls."""
    loss = epochs[EpochColumns.train_total].to_numpy(dtype=float)
    fall = loss[0] - np.nanmin(loss)
    return (loss - np.nanmin(loss)) / fall if fall > 0 else np.ones_like(loss)


def _title(axes_of_panels: Sequence[str], values: Sequence[str]) -> str:
    title = ", ".join(f"{printed(axis)}: {value}" for axis, value in zip(axes_of_panels, values, strict=True))
    return textwrap.fill(title, 36)
