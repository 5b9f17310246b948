"""Tests of differences that are paired by repeat: seed and split."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy import stats

from pipelines.papers.evidence import Evidence, Group, Repeat, paired
from pipelines.papers.inference import LEVEL, estimate, repeats_needed
from pipelines.papers.kinds.base import (
    Cell,
    ContrastKind,
    Direction,
    Kind,
    NotTested,
    Quantity,
    described,
    missing,
    simultaneous,
    t_cell,
    title,
    with_state,
)
from pipelines.papers.measures import Value

Differences = tuple[str, str, list[float]]


class Difference(ContrastKind):
    """Ours minus theirs: the 95 % t interval of the paired differences lies above (or below) 0.

    Attributes:
        by: "each" of ours against each rival that agrees in everything else; "mean" of ours against that of theirs;
            "best" of ours by validation against the best of theirs.
        relative: Differences in percent of the rival's value.
        bound: What takes the place of 0.
    """

    kind: Literal["difference"]
    by: Literal["each", "mean", "best"] = "each"
    direction: Direction = "above"
    relative: bool = False
    bound: float = 0.0

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        return [
            t_cell(dataset, label, values, "%" if self.relative else q.unit, bound=self.bound, direction=self.direction)
            for q in quantities
            for dataset, label, values in self._differences(evidence, q)
        ]

    def _differences(self, evidence: Evidence, quantity: Quantity) -> Iterator[Differences]:
        if self.by == "each":
            for ours, theirs in self.pairs(evidence):
                scores = ours.values(quantity.value), theirs.values(quantity.value)
                yield ours.dataset, title(ours, theirs, quantity), self._paired(*scores)
            return
        for contrast in self.contrasts:
            if not evidence.where(contrast.ours).records or not evidence.where(contrast.rivals).records:
                raise NotTested(f"no trials to compare: {missing(evidence, [contrast])}")
            for dataset in evidence.datasets:
                here = evidence.where({"dataset": dataset})
                sides = [self._side(here, side, quantity) for side in (contrast.ours, contrast.rivals)]
                label = f"{quantity.name}, {dataset}: {sides[0][0]} - {sides[1][0]}"
                yield dataset, label, self._paired(sides[0][1], sides[1][1])

    def _side(
        self, evidence: Evidence, side: dict[str, object], quantity: Quantity
    ) -> tuple[str, Mapping[Repeat, float]]:
        groups = evidence.where(side).groups()
        if self.by == "mean":
            return f"mean of {described(side)}", _mean([group.values(quantity.value) for group in groups])
        if (selecting := quantity.selecting) is None:
            raise NotTested(f"{quantity.name} cannot select the best: it is no score")
        best = max(groups, key=lambda group: mean_of(group, selecting))
        return best.configuration, best.values(quantity.value)

    def _paired(self, ours: Mapping[Repeat, float], theirs: Mapping[Repeat, float]) -> list[float]:
        if not self.relative:
            return paired(ours, theirs)
        return [100 * (ours[repeat] / theirs[repeat] - 1) for repeat in sorted(ours.keys() & theirs.keys())]


class Holds(ContrastKind):
    """A number the paper gives: the interval of the difference holds it, and lies above 0.

    Supported if both; contradicted if the interval leaves the number out; the intervals of all cells hold together.

    Attributes:
        number: By metric, in points.
    """

    kind: Literal["holds"]
    number: dict[str, float]

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        pairs = self.pairs(evidence)
        level = simultaneous(len(pairs) * len(quantities))
        return [self._cell(*pair, quantity, level) for quantity in quantities for pair in pairs]

    def _cell(self, ours: Group, theirs: Group, quantity: Quantity, level: float) -> Cell:
        number = self.number[quantity.metric]
        values = paired(ours.values(quantity.value), theirs.values(quantity.value))
        label = f"{title(ours, theirs, quantity)}; printed {number:+g}"
        cell = t_cell(ours.dataset, label, values, quantity.unit)
        if math.isnan(cell.p):
            return cell
        wide = estimate(values, level)
        inside = wide.low <= number <= wide.high
        cell = with_state(cell, supported=inside and wide.low > 0, contradicted=not inside)
        needed = repeats_needed(number, wide.std, 1 - level)
        return dataclasses.replace(cell, needed=lambda _: needed)


class Fusion(Kind):
    """Two fused losses against the better of the two alone."""

    kind: Literal["fusion"]

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        return [cell for quantity in quantities for cell in self._cells(evidence, quantity)]

    def _cells(self, evidence: Evidence, quantity: Quantity) -> Iterator[Cell]:
        singles = {(g.dataset, g.first.spec.losses): g for g in evidence.where({"order": 1}).groups()}
        for group in evidence.where({"order": 2}).groups():
            members = [singles.get((group.dataset, (loss,))) for loss in group.first.spec.losses]
            known = [member for member in members if member is not None]
            if len(known) == 2:
                better = max(known, key=lambda member: mean_of(member, quantity.value))
                values = paired(group.values(quantity.value), better.values(quantity.value))
                yield t_cell(group.dataset, title(group, better, quantity), values, quantity.unit)


class Gain(ContrastKind):
    """The gain of ours over theirs is larger on one data set than on each other: Welch's t on the paired differences.

    Attributes:
        dataset: Where the gain is said to be largest.
    """

    kind: Literal["gain"]
    dataset: str

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        others = [name for name in evidence.datasets if name != self.dataset]
        if self.dataset not in evidence.datasets or not others:
            raise NotTested(f"it needs {self.dataset} and another data set; there is {', '.join(evidence.datasets)}")
        return [
            self._cell(quantity, other, *(self._gains(evidence, name, quantity) for name in (self.dataset, other)))
            for quantity in quantities
            for other in others
        ]

    def _gains(self, evidence: Evidence, dataset: str, quantity: Quantity) -> list[float]:
        (ours, theirs), *more = self.pairs(evidence.where({"dataset": dataset}))
        if more:
            raise NotTested("a gain needs one configuration on each side")
        return paired(ours.values(quantity.value), theirs.values(quantity.value))

    def _cell(self, quantity: Quantity, other: str, here: Sequence[float], there: Sequence[float]) -> Cell:
        label = f"gain in {quantity.name}: {self.dataset} - {other}"
        n, effect = min(len(here), len(there)), float(np.mean(here) - np.mean(there))
        spread = math.sqrt(float(np.var(here, ddof=1) + np.var(there, ddof=1))) if n > 1 else math.nan
        if not spread > 0:
            return t_cell(self.dataset, label, [], quantity.unit)
        test = stats.ttest_ind(here, there, equal_var=False)
        low, high = test.confidence_interval(LEVEL)

        def needed(alpha: float) -> int | None:
            return repeats_needed(effect, spread, alpha)

        return Cell(self.dataset, label, effect, low, high, float(test.pvalue), effect > 0, n, quantity.unit, needed)


def mean_of(group: Group, value: Value) -> float:
    """The mean over repeats; minus infinity for a score that is none, so that it is never the best."""
    mean = float(np.mean(list(group.values(value).values())))
    return mean if math.isfinite(mean) else -math.inf


def _mean(scores: Sequence[Mapping[Repeat, float]]) -> dict[Repeat, float]:
    shared = set.intersection(*(set(one) for one in scores)) if scores else set()
    return {repeat: float(np.mean([one[repeat] for one in scores])) for repeat in sorted(shared)}
