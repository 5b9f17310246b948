"""Tests of all configurations of a table together: which is first, whether the choice matters, and how it grows."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.papers.evidence import Evidence, Group, averaged, number_in
from pipelines.papers.inference import (
    ROUNDING,
    anova_repeats_needed,
    estimate,
    repeated_measures,
    repeats_needed,
    without_spread,
)
from pipelines.papers.kinds.base import (
    FEW_SHARED,
    NO_NUMBER,
    STILL,
    UNSELECTED,
    Cell,
    ChosenKind,
    Direction,
    Kind,
    NotTested,
    Quantity,
    best,
    described,
    paired_cell,
    simultaneous,
    t_cell,
    untested,
    with_state,
)


class First(Kind):
    """One of ours has the best mean of all configurations and beats the runner-up.

    A cell a data set and score: best of ours minus best of the others, as paired differences. Where ours are several,
    p is multiplied by their number; against the claim, by the number of the others, of which the best was picked. The
    best distance is the lowest, whatever `direction` says.
    """

    kind: Literal["first"]
    ours: dict[str, object]
    direction: Direction = "above"

    @property
    def sides(self) -> list[dict[str, object]]:
        return [self.ours]

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        if not evidence.where(self.ours).records:
            raise NotTested(f"no configuration has {described(self.ours)}")
        found = [self._cell(evidence.where({"dataset": name}), q) for q in quantities for name in evidence.datasets]
        return [cell for cell in found if cell is not None]

    def _cell(self, evidence: Evidence, quantity: Quantity) -> Cell | None:
        ours = evidence.where(self.ours).groups()
        mine = {group.configuration for group in ours}
        others = [group for group in evidence.groups() if group.configuration not in mine]
        if not ours or not others:
            return None
        direction: Direction = "below" if quantity.lower else self.direction
        one, other = (best(groups, quantity.value, lower=direction == "below") for groups in (ours, others))
        if one is None or other is None:
            return untested(ours[0].dataset, f"{quantity.name}, {ours[0].dataset}", quantity.unit, UNSELECTED)
        cell = paired_cell(one, other, quantity, direction)
        return cell.picked(len(ours) if cell.favour else len(others))


class DatasetKind(ChosenKind):
    """A cell of each data set and score, from all configurations together."""

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        chosen = evidence.where(self.ours)
        return [
            self.cell(chosen.where({"dataset": dataset}).groups(), quantity)
            for quantity in quantities
            for dataset in chosen.datasets
        ]

    @abstractmethod
    def cell(self, groups: Sequence[Group], quantity: Quantity) -> Cell:
        """The cell of the configurations of one data set."""


class Equivalent(DatasetKind):
    """The choice is minor: all configurations lie within so many pooled standard deviations of each other.

    A cell a data set and score. Supported if the 95 % interval of every paired difference lies inside the margin;
    contradicted if one of them, at a level at which all hold together, lies outside. Effect and interval are those of
    the largest difference, in pooled standard deviations over repeats. Pairs that agree in every repeat are left out:
    they are one training under two names.
    """

    kind: Literal["equivalent"]
    within: float = Field(gt=0)

    def cell(self, groups: Sequence[Group], quantity: Quantity) -> Cell:
        scores = _matrix(groups, quantity)
        n, count = scores.shape
        label = f"{quantity.name}, {groups[0].dataset}: range of {count} configurations"
        if reason := _unfit(scores):
            return untested(groups[0].dataset, label, "SD", reason, n)
        every = np.array([scores[:, i] - scores[:, j] for i, j in itertools.combinations(range(count), 2)])
        pairs = every[np.abs(every).max(1) > ROUNDING]  # two rows that are one training say nothing
        if not len(pairs) or without_spread(pairs).any():
            return untested(groups[0].dataset, label, "SD", STILL, n)
        pooled = math.sqrt(float(scores.var(0, ddof=1).mean()))
        pairs = pairs / np.where(pairs.mean(1, keepdims=True) >= 0, pooled, -pooled)
        tested = [estimate(values) for values in pairs.tolist()]
        strict = [estimate(values, simultaneous(len(pairs))) for values in pairs.tolist()]
        widest = max(tested, key=lambda one: one.mean)
        room, spread = self.within - widest.mean, max(one.std for one in tested)
        cell = Cell(
            dataset=groups[0].dataset,
            label=label,
            effect=widest.mean,
            low=widest.low,
            high=widest.high,
            p=estimate((pairs[pairs.mean(1).argmax()] - self.within).tolist()).p,
            favour=room > 0,
            n=n,
            unit="SD",
            needed=lambda alpha: repeats_needed(room, spread, alpha),
        )
        return with_state(
            cell,
            supported=all(-self.within < one.low and one.high < self.within for one in tested),
            contradicted=any(one.low > self.within for one in strict),
        )


class Anova(DatasetKind):
    """The choice matters: repeated-measures ANOVA over configurations, Greenhouse-Geisser corrected, p below .05.

    A cell a data set and score; the effect is F. It never contradicts: no difference found is not no difference.
    """

    kind: Literal["anova"]

    def cell(self, groups: Sequence[Group], quantity: Quantity) -> Cell:
        scores = _matrix(groups, quantity)
        n, k = scores.shape
        label = f"{quantity.name}, {groups[0].dataset}: F of {k} configurations"
        if reason := _unfit(scores):
            return untested(groups[0].dataset, label, "F", reason, n)
        f, p, epsilon = repeated_measures(scores)
        if math.isnan(f):
            return untested(groups[0].dataset, label, "F", STILL, n)
        return Cell(
            dataset=groups[0].dataset,
            label=label,
            effect=f,
            low=math.nan,
            high=math.nan,
            p=p,
            favour=True,
            n=n,
            unit="F",
            needed=lambda alpha: anova_repeats_needed(f, n, k, epsilon, alpha),
        )


class Slope(ChosenKind):
    """A score grows with a number in a name, such as the depth of an encoder: a slope each repeat, then their t test.

    Attributes:
        over: The field whose last number is the abscissa.
    """

    kind: Literal["slope"]
    over: str
    direction: Direction = "above"

    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        chosen = evidence.where(self.ours)
        if not chosen.records:
            raise NotTested(f"no configuration has {described(self.ours)}")
        return [
            cell
            for quantity in quantities
            for dataset in chosen.datasets
            for cell in self._cells(chosen.where({"dataset": dataset}), quantity)
        ]

    def _cells(self, evidence: Evidence, quantity: Quantity) -> Iterator[Cell]:
        groups = evidence.groups()
        places = [number_in(str(evidence.field(group.first, self.over))) for group in groups]
        if len(set(places)) < 2:
            raise NotTested(f"a slope needs two values of {self.over}")
        scores = _matrix(groups, quantity)
        slopes = np.polyfit(places, scores.T, 1)[0].tolist() if scores.size else []
        label = f"slope of {quantity.name} over {self.over}, {groups[0].dataset}"
        yield t_cell(groups[0].dataset, label, slopes, quantity.unit, direction=self.direction, few=FEW_SHARED)


def _matrix(groups: Sequence[Group], quantity: Quantity) -> np.ndarray:
    """(repeats, configurations): scores of the repeats that all configurations have."""
    scores = [group.values(quantity.value) for group in groups]
    shared = set.intersection(*(set(one) for one in scores))
    return np.array([averaged({repeat: one[repeat] for repeat in shared}) for one in scores]).T


def _unfit(scores: np.ndarray) -> str:
    """Why configurations cannot be compared by a matrix of theirs, or nothing."""
    n, count = scores.shape
    if count < 2:
        return "it needs two configurations or more"
    if n < 2:
        return FEW_SHARED
    return "" if np.isfinite(scores).all() else NO_NUMBER
