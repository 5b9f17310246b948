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

from pipelines.papers.evidence import Evidence, Group, Truth, averaged, by_repeat
from pipelines.papers.inference import (
    fewest,
    proportion_interval,
    proportion_repeats_needed,
    rank_correlation,
    std_interval,
)
from pipelines.papers.kinds.base import (
    NO_NUMBER,
    STILL,
    Cell,
    ChosenKind,
    ContrastKind,
    Direction,
    NotTested,
    Quantity,
    described,
    t_cell,
    title,
    unfit,
    untested,
)
from pipelines.papers.shapes import area, irregularity
from pipelines.trials.columns import ImageColumns


class TrialKind(ChosenKind):
    """A kind that asks each configuration among `ours` for itself."""

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
        values = averaged(group.values(quantity.value))
        label = f"{title(group, None, quantity)}, {self.direction} {self.bound:g}"
        return t_cell(group.dataset, label, values, quantity.unit, bound=self.bound, direction=self.direction)


class Proportion(Bounded):
    """Most trials lie above (or below) a bound: the exact 95 % interval of their share lies above one half.

    The seeds of a fold count as one trial, by their mean.
    """

    kind: Literal["proportion"]

    def cell(self, group: Group, quantity: Quantity) -> Cell:
        values = averaged(group.values(quantity.value))
        n, unit = len(values), "% of trials"
        label = f"trials with {title(group, None, quantity)}, {self.direction} {self.bound:g}"
        if any(map(math.isnan, values)):
            return untested(group.dataset, label, unit, NO_NUMBER, n)
        hits = sum(v > self.bound if self.direction == "above" else v < self.bound for v in values)
        low, high = proportion_interval(hits, n)
        return Cell(
            dataset=group.dataset,
            label=label,
            effect=100 * hits / n,
            low=100 * low,
            high=100 * high,
            p=float(stats.binomtest(hits, n).pvalue),
            favour=2 * hits > n,
            n=n,
            unit=unit,
            needed=lambda alpha: proportion_repeats_needed(hits / n, alpha),
        )


class Spread(TrialKind):
    """The standard deviation over repeats (folds) is at most a bound, by its chi-squared interval.

    With several seeds a fold, it is that of one training: the variance of the folds' means plus the mean over folds of
    the seeds' variance (divided by their number), on as many degrees of freedom as the folds have.
    """

    kind: Literal["spread"]
    at_most: float = Field(gt=0)

    def cell(self, group: Group, quantity: Quantity) -> Cell:
        values = group.values(quantity.value)
        means = averaged(values)
        n, label = len(means), f"standard deviation of {title(group, None, quantity)}, at most {self.at_most:g}"
        if reason := unfit(means):
            return untested(group.dataset, label, quantity.unit, reason, n)
        std = math.sqrt(np.var(means, ddof=1) + np.mean([np.var(members) for members in by_repeat(values)]))
        low, high = std_interval(std, n)
        below = float(stats.chi2.cdf((n - 1) * (std / self.at_most) ** 2, n - 1))

        def power(repeats: int, alpha: float) -> float:
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
            needed=(lambda alpha: fewest(lambda repeats: power(repeats, alpha))) if std < self.at_most else None,
        )


class Correlation(ContrastKind):
    """The gain on an image, mean over repeats, goes with a property of its true mask: Spearman's r over images.

    A gain in a distance is how much it falls.

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
        table["gain"] *= -1 if quantity.lower else 1
        r, low, high, p = rank_correlation(table["gain"].to_numpy(), table["shape"].to_numpy())
        label, unit = f"gain in {title(ours, theirs, quantity)}, against {name}", "r, images"
        if math.isnan(r):
            reason = "a rank correlation needs five images or more" if len(table) < 5 else STILL
            return untested(ours.dataset, label, unit, reason, len(table))
        return Cell(
            dataset=ours.dataset,
            label=label,
            effect=r,
            low=low,
            high=high,
            p=p,
            favour=r > 0 if self.along[name] == "above" else r < 0,
            n=len(table),
            unit=unit,
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
