"""Every configuration's losses, weights and validation scores by epoch, as the page draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines.pages.inline import packed
from pipelines.report.layout import Row
from pipelines.report.names import loss_colours, printed
from pipelines.trials.columns import EpochColumns, HistoryColumns

MOST_POINTS = 160
BUDGET = 2_500_000
"""Numbers in the histories of one page: of large studies each history is averaged into fewer stretches."""

SPARE = {HistoryColumns.total: "#1f77b4", HistoryColumns.auxiliary: "#e69f00"}


def points_of(rows: int) -> int:
    """Into how many stretches a history is averaged, where there are so many configurations."""
    return max(20, min(MOST_POINTS, BUDGET // (rows * 24)))


def histories(row: Row, points: int) -> dict[str, Any]:
    """What the page draws of a configuration; the tables that it takes are let go: a large study has many."""
    found = _histories(row, points)
    for record in row.records:
        record.forget_tables()
    return found


def _histories(row: Row, points: int) -> dict[str, Any]:
    """Group ("weights", "losses", "sums", "validation") to its series, each with the mean and band over repeats."""
    steps = [record.history for record in row.records]
    epochs = [record.epoch_table for record in row.records]
    colours = loss_colours(row.spec.losses)
    names = {
        "weights": [(HistoryColumns.weight(loss), printed(loss), colours[loss]) for loss in row.spec.losses],
        "losses": [(HistoryColumns.loss(loss), printed(loss), colours[loss]) for loss in row.spec.losses],
        "sums": [(name, printed(name), SPARE[name]) for name in SPARE],
    }
    found = {
        group: {"x": packed(_places(steps, points)), "series": [_series(steps, *name, points) for name in members]}
        for group, members in names.items()
    }
    watched = [
        (column, printed(metric), colour)
        for metric, colour in (("dice", "#0072b2"), ("cb_dice", "#d55e00"), ("f1", "#009e73"), ("accuracy", "#cc79a7"))
        if (column := EpochColumns.validation(metric)) in epochs[0]
    ]
    return found | {
        "validation": {
            "x": packed(_places(epochs, points)),
            "series": [_series(epochs, *name, points) for name in watched],
        }
    }


def _series(tables: Sequence[pd.DataFrame], column: str, label: str, colour: str, points: int) -> dict[str, Any]:
    """Mean over repeats and, where there are several, the lowest and the highest of them."""
    length = min(map(len, tables))
    values = np.stack([stretches(table[column].to_numpy(dtype=float)[:length], points) for table in tables])
    series = {"name": label, "colour": colour, "mean": packed(values.mean(axis=0))}
    if len(tables) > 1:
        series |= {"low": packed(values.min(axis=0)), "high": packed(values.max(axis=0))}
    return series


def _places(tables: Sequence[pd.DataFrame], points: int) -> np.ndarray:
    """The epoch, with fraction, at the middle of each stretch."""
    shortest = min(tables, key=len)
    count = len(shortest)
    epochs = int(np.ptp(shortest[HistoryColumns.epoch])) + 1
    return stretches((np.arange(count) + 1) / count * epochs, points)


def stretches(values: np.ndarray, points: int) -> np.ndarray:
    """A series averaged into at most `points` stretches of equal length."""
    count = len(values)
    stretch = np.arange(count) * min(points, count) // count
    return np.bincount(stretch, weights=values) / np.bincount(stretch)
