"""Tests of trials by themselves: a number against a bound, how many show something, their spread, their images."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from scipy import stats

from pipelines.papers.evidence import Evidence, Group, Truth
from pipelines.papers.inference import fewest, proportion_interval, rank_correlation, std_interval
from pipelines.papers.kinds.base import (
    Cell,
    ContrastKind,
    Direction,
    Kind,
    NotTested,
    Quantity,
    described,
    t_cell,
    title,
)
from pipelines.papers.shapes import area, irregularity
from pipelines.trials.columns import ImageColumns


class TrialKind(Kind):
    """A kind that asks each configuration among `ours` for itself."""

    ours: dict[str, object] = Field(default_factory=dict)

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        groups = evidence.where(self.ours).groups()
        if not groups:
            raise NotTested(f"no configuration has {described(self.ours)}")
        return [self.cell(group, quantity) for quantity in quantities for group in groups]

    @abstractmethod
    def cell(self, group: Group, quantity: Quantity) -> Cell:
        """The cell of one configuration."""


class Bounded(TrialKind):
    """A kind with a bound: exactly one of `above` and `below`."""

    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Bounded:
        if (self.above is None) == (self.below is None):
            raise ValueError("give one of `above` and `below`")
        return self

    @property
    def bound(self) -> float:
        return self.below if self.below is not None else self.above or 0.0

    @property
    def direction(self) -> Direction:
        return "above" if self.below is None else "below"


class Threshold(Bounded):
    """The mean over repeats lies above (or below) a bound."""

    kind: Literal["threshold"]

    def cell(self, group: Group, quantity: Quantity) -> Cell:
        values = list(group.values(quantity.value).values())
        label = f"{title(group, None, quantity)}, {self.direction} {self.bound:g}"
        return t_cell(group.dataset, label, values, quantity.unit, bound=self.bound, direction=self.direction)


class Proportion(Bounded):
    """Most trials lie above (or below) a bound: the exact 95 % interval of their share lies above one half."""

    kind: Literal["proportion"]

    def cell(self, group: Group, quantity: Quantity) -> Cell:
        values = list(group.values(quantity.value).values())
        n = len(values)
        hits = sum(v > self.bound if self.direction == "above" else v < self.bound for v in values)
        low, high = proportion_interval(hits, n)

        def power(repeats: int, alpha: float) -> float:
            counts = np.arange(repeats + 1)
            clear = [stats.binomtest(int(k), repeats).pvalue < alpha for k in counts]
            return float(stats.binom.pmf(counts, repeats, hits / n)[clear].sum())

        return Cell(
            dataset=group.dataset,
            label=f"trials with {title(group, None, quantity)}, {self.direction} {self.bound:g}",
            effect=100 * hits / n,
            low=100 * low,
            high=100 * high,
            p=float(stats.binomtest(hits, n).pvalue),
            favour=2 * hits > n,
            n=n,
            unit="% of trials",
            needed=lambda alpha: fewest(lambda repeats: power(repeats, alpha), most=200),
        )


class Spread(TrialKind):
    """The standard deviation over repeats (folds) is at most a bound, by its chi-squared interval."""

    kind: Literal["spread"]
    at_most: float = Field(gt=0)

    def cell(self, group: Group, quantity: Quantity) -> Cell:
        values = list(group.values(quantity.value).values())
        n, label = len(values), f"standard deviation of {title(group, None, quantity)}, at most {self.at_most:g}"
        if n < 2 or not all(map(math.isfinite, values)):
            return t_cell(group.dataset, label, [], quantity.unit)
        std = float(np.std(values, ddof=1))
        low, high = std_interval(std, n)
        below = float(stats.chi2.cdf((n - 1) * (std / self.at_most) ** 2, n - 1))

        def power(repeats: int, alpha: float) -> float:
            if std == 0:
                return 1.0
            cut, scale = stats.chi2.ppf(alpha / 2, repeats - 1), (self.at_most / std) ** 2
            return float(stats.chi2.cdf(scale * cut, repeats - 1))

        return Cell(
            dataset=group.dataset,
            label=label,
            effect=std,
            low=low,
            high=high,
            p=min(1.0, 2 * min(below, 1 - below)),
            favour=std < self.at_most,
            n=n,
            unit=quantity.unit,
            needed=lambda alpha: fewest(lambda repeats: power(repeats, alpha)) if std < self.at_most else None,
        )


class Correlation(ContrastKind):
    """The gain on an image, mean over repeats, goes with a property of its true mask: Spearman's r over images.

    Attributes:
        along: By property, `area` (share of the image) or `irregularity` (outline over that of a disc of equal area),
            whether r lies above or below 0.
    """

    kind: Literal["correlation"]
    along: dict[Literal["area", "irregularity"], Direction]

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        return [
            self._cell(ours, theirs, quantity, name, evidence.truths)
            for quantity in quantities
            for ours, theirs in self.pairs(evidence)
            for name in self.along
        ]

    def _cell(
        self, ours: Group, theirs: Group, quantity: Quantity, name: Literal["area", "irregularity"], truths: object
    ) -> Cell:
        assert isinstance(truths, dict)
        if ours.dataset not in truths:
            raise NotTested(f"the true masks of {ours.dataset} are not at hand")
        gains = per_image(ours, quantity.metric) - per_image(theirs, quantity.metric)
        shapes = shape_of(truths[ours.dataset], name)
        table = pd.concat({"gain": gains, "shape": shapes}, axis=1, join="inner").dropna()
        r, low, high, p = rank_correlation(table["gain"].to_numpy(), table["shape"].to_numpy())
        label = f"gain in {title(ours, theirs, quantity)}, against {name}"
        return Cell(
            dataset=ours.dataset,
            label=label,
            effect=r,
            low=low,
            high=high,
            p=p,
            favour=r > 0 if self.along[name] == "above" else r < 0,
            n=len(table),
            unit="r, images",
        )


def per_image(group: Group, metric: str) -> pd.Series:
    """A score of each test image, mean over the repeats that tested it, by the image's name."""
    tables = [record.images for record in group.records]
    if any(metric not in table for table in tables):
        raise NotTested(f"the images of {group.configuration} have no score {metric}")
    return pd.concat([table.set_index(ImageColumns.image)[metric] for table in tables]).groupby(level=0).mean()


def shape_of(truth: Truth, name: Literal["area", "irregularity"]) -> pd.Series:
    """A property of each image's true foreground, by the image's name; none for an empty mask."""
    measure = area if name == "area" else irregularity
    return pd.Series([measure(mask) for mask in truth.masks], index=list(truth.images), dtype=float)
