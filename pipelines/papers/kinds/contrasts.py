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
    FEW_SHARED,
    UNSELECTED,
    Cell,
    ContrastKind,
    Direction,
    Kind,
    NotTested,
    Quantity,
    best,
    described,
    missing,
    paired_cell,
    simultaneous,
    t_cell,
    title,
    unfit,
    untested,
    with_state,
)

Side = tuple[str, Mapping[Repeat, float]]


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
        return [cell for quantity in quantities for cell in self._cells(evidence, quantity)]

    def _cells(self, evidence: Evidence, quantity: Quantity) -> Iterator[Cell]:
        if self.by == "each":
            for ours, theirs in self.pairs(evidence):
                scores = ours.values(quantity.value), theirs.values(quantity.value)
                yield self._cell(ours.dataset, title(ours, theirs, quantity), quantity.unit, *scores)
            return
        for contrast in self.contrasts:
            if not evidence.where(contrast.ours).records or not evidence.where(contrast.rivals).records:
                raise NotTested(f"no trials to compare: {missing(evidence, [contrast])}")
            for dataset in evidence.datasets:
                here = evidence.where({"dataset": dataset})
                if here.where(contrast.ours).records and here.where(contrast.rivals).records:
                    sides = [self._side(here, side, quantity) for side in (contrast.ours, contrast.rivals)]
                    yield self._cell_of_sides(dataset, quantity, *sides)

    def _side(self, evidence: Evidence, side: dict[str, object], quantity: Quantity) -> Side | None:
        """What stands for all configurations of a side; None where none can be selected."""
        groups = evidence.where(side).groups()
        if self.by == "mean":
            return f"mean of {described(side)}", _mean([group.values(quantity.value) for group in groups])
        if quantity.selecting is None:
            raise NotTested(f"{quantity.name} cannot select the best: it is no score")
        selected = best(groups, quantity.selecting, lower=quantity.lower)
        return None if selected is None else (selected.configuration, selected.values(quantity.value))

    def _cell_of_sides(self, dataset: str, quantity: Quantity, ours: Side | None, theirs: Side | None) -> Cell:
        label = f"{quantity.name}, {dataset}"
        if ours is None or theirs is None:
            return untested(dataset, label, quantity.unit, UNSELECTED)
        (name, scores), (rival, rivals) = ours, theirs
        return self._cell(dataset, f"{label}: {name} - {rival}", quantity.unit, scores, rivals)

    def _cell(
        self, dataset: str, label: str, unit: str, ours: Mapping[Repeat, float], theirs: Mapping[Repeat, float]
    ) -> Cell:
        values, unit = (paired(ours, theirs, _percent_more), "%") if self.relative else (paired(ours, theirs), unit)
        return t_cell(dataset, label, values, unit, bound=self.bound, direction=self.direction, few=FEW_SHARED)


class Holds(ContrastKind):
    """A number the paper gives: the interval of the difference holds it, and leaves out 0.

    Supported if both, which puts the difference on the number's side of 0; contradicted if the interval leaves the
    number out; the intervals of all cells hold together.

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
        cell = paired_cell(ours, theirs, quantity, "below" if number < 0 else "above", f"; printed {number:+g}")
        if cell.state:
            return cell
        wide = estimate(paired(ours.values(quantity.value), theirs.values(quantity.value)), level)
        inside = wide.low <= number <= wide.high
        cell = with_state(cell, supported=inside and not wide.low <= 0 <= wide.high, contradicted=not inside)
        needed = repeats_needed(number, wide.std, 1 - level)
        return dataclasses.replace(cell, needed=lambda _: needed)


class Fusion(Kind):
    """Two fused losses against the better of the two alone.

    Against the claim p is doubled: the better one was picked by the scores that it is then tested on.
    """

    kind: Literal["fusion"]

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        return [cell for quantity in quantities for cell in self._cells(evidence, quantity)]

    def _cells(self, evidence: Evidence, quantity: Quantity) -> Iterator[Cell]:
        singles = {(g.dataset, g.first.spec.losses): g for g in evidence.where({"order": 1}).groups()}
        for group in evidence.where({"order": 2}).groups():
            members = [singles.get((group.dataset, (loss,))) for loss in group.first.spec.losses]
            known = [member for member in members if member is not None]
            if len(known) < 2:
                continue
            better = best(known, quantity.value, lower=quantity.lower)
            if better is None:
                yield untested(group.dataset, title(group, None, quantity), quantity.unit, UNSELECTED)
            else:
                cell = paired_cell(group, better, quantity, quantity.better)
                yield cell if cell.favour else cell.picked(2)


class Gain(ContrastKind):
    """The gain of ours over theirs is larger on one data set than on each other: Welch's t on the paired differences.

    A gain in a distance is how much it falls.

    Attributes:
        dataset: Where the gain is said to be largest.
    """

    kind: Literal["gain"]
    dataset: str

    @property
    def spans_datasets(self) -> bool:
        return True

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
        one, other = (theirs, ours) if quantity.lower else (ours, theirs)
        return paired(one.values(quantity.value), other.values(quantity.value))

    def _cell(self, quantity: Quantity, other: str, here: Sequence[float], there: Sequence[float]) -> Cell:
        label = f"gain in {quantity.name}: {self.dataset} - {other}"
        n = min(len(here), len(there))
        if reason := unfit(here, FEW_SHARED) or unfit(there, FEW_SHARED):
            return untested(self.dataset, label, quantity.unit, reason, n)
        test = stats.ttest_ind(here, there, equal_var=False)
        low, high = test.confidence_interval(LEVEL)
        effect, variances = float(np.mean(here) - np.mean(there)), np.array([np.var(x, ddof=1) for x in (here, there)])
        freedom = float(variances.sum() ** 2 / (variances**2).sum())  # Welch and Satterthwaite's of n and n, over n - 1

        def needed(alpha: float) -> int | None:
            return repeats_needed(effect, math.sqrt(variances.sum()), alpha, freedom)

        return Cell(self.dataset, label, effect, low, high, float(test.pvalue), effect > 0, n, quantity.unit, needed)


def _percent_more(ours: float, theirs: float) -> float:
    return 100 * (ours / theirs - 1) if theirs else math.nan


def _mean(scores: Sequence[Mapping[Repeat, float]]) -> dict[Repeat, float]:
    shared = set.intersection(*(set(one) for one in scores)) if scores else set()
    return {repeat: float(np.mean([one[repeat] for one in scores])) for repeat in sorted(shared)}
