"""Figures of a study with more configurations than a figure can show."""

from __future__ import annotations

import dataclasses
import math
from statistics import fmean

from pipelines.pages.drawing import Picture
from pipelines.report.layout import Layout, Row

CROWD, DRAWN = 120, 40
"""Of more configurations than CROWD on a data set the figures show DRAWN: the baseline and the best in validation."""


def drawable(layout: Layout, dataset: str) -> Layout:
    """The layout of what the figures of a data set show."""
    rows = layout.rows[dataset]
    if len(rows) <= CROWD:
        return layout
    ranked = sorted(range(len(rows)), key=lambda place: (not rows[place].baseline, -_score(rows[place]), place))
    kept = tuple(rows[place] for place in sorted(ranked[:DRAWN]))
    return dataclasses.replace(layout, rows={**layout.rows, dataset: kept})


def told(picture: Picture, layout: Layout, dataset: str) -> Picture:
    """A picture whose caption says what was left out."""
    count = len(layout.rows[dataset])
    if count <= CROWD:
        return picture
    left = f" Of {count} configurations the baseline and the {DRAWN - 1} best in validation are drawn."
    return dataclasses.replace(picture, caption=picture.caption + left)


def _score(row: Row) -> float:
    """Mean validation score over repeats, under the first protocol, which selects; what is no number comes last."""
    scores = [next(iter(record.validation.values()), {}) for record in row.records]
    mean = fmean(score.get("cb_dice", score.get("f1", math.nan)) for score in scores)
    return mean if math.isfinite(mean) else -math.inf
