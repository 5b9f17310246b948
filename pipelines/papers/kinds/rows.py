"""Tests of all configurations of a table together: which is first, whether the choice matters, and how it grows."""

from __future__ import annotations

import dataclasses
import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.papers.evidence import Evidence, Group, number_in, paired
from pipelines.papers.inference import anova_repeats_needed, estimate, repeated_measures, repeats_needed
from pipelines.papers.kinds.base import (
    Cell,
    Direction,
    Kind,
    NotTested,
    Quantity,
    described,
    simultaneous,
    t_cell,
    title,
    with_state,
)
from pipelines.papers.kinds.contrasts import mean_of


class First(Kind):
    """One of ours has the best mean of all configurations and beats the runner-up.

    A cell a data set and score: best of ours minus best of the others, as paired differences. Where ours are several,
    p is multiplied by their number; against the claim, by the number of the others, of which the best was picked.
    """

    kind: Literal["first"]
    ours: dict[str, object]
    direction: Direction = "above"

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
        one, other = (self._best(groups, quantity) for groups in (ours, others))
        values = paired(one.values(quantity.value), other.values(quantity.value))
        cell = t_cell(one.dataset, title(one, other, quantity), values, quantity.unit, direction=self.direction)
        picked, needed = len(ours) if cell.favour else len(others), cell.needed
        return dataclasses.replace(cell, p=min(1.0, picked * cell.p), needed=lambda alpha: needed(alpha / picked))

    def _best(self, groups: Sequence[Group], quantity: Quantity) -> Group:
        if self.direction == "above":
            return max(groups, key=lambda group: mean_of(group, quantity.value))
        return max(groups, key=lambda group: mean_of(group, lambda record: -quantity.value(record)))


class DatasetKind(Kind):
    """A cell of each data set and score, from all configurations together."""

    ours: dict[str, object] = Field(default_factory=dict)

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
    the largest difference, in pooled standard deviations over repeats.
    """

    kind: Literal["equivalent"]
    within: float = Field(gt=0)

    def cell(self, groups: Sequence[Group], quantity: Quantity) -> Cell:
        scores = _matrix(groups, quantity)
        n, count = scores.shape
        label = f"{quantity.name}, {groups[0].dataset}: range of {count} configurations"
        pooled = math.sqrt(float(scores.var(0, ddof=1).mean())) if n > 1 else math.nan
        if count < 2 or not pooled > 0:
            return t_cell(groups[0].dataset, label, [], "SD")
        pairs = [(scores[:, i] - scores[:, j]) / pooled for i, j in itertools.combinations(range(count), 2)]
        pairs = [values if values.mean() >= 0 else -values for values in pairs]
        tested = [estimate(values.tolist()) for values in pairs]
        strict = [estimate(values.tolist(), simultaneous(len(pairs))) for values in pairs]
        widest = max(tested, key=lambda one: one.mean)
        room, spread = self.within - widest.mean, max(one.std for one in tested)
        cell = Cell(
            dataset=groups[0].dataset,
            label=label,
            effect=widest.mean,
            low=widest.low,
            high=widest.high,
            p=estimate([v - self.within for v in max(pairs, key=lambda values: float(values.mean()))]).p,
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
        if n < 2 or k < 2 or not np.isfinite(scores).all():
            return t_cell(groups[0].dataset, label, [], "F")
        f, p, epsilon = repeated_measures(scores)
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
            needed=lambda _: anova_repeats_needed(f, n, k, epsilon),
        )


class Slope(Kind):
    """A score grows with a number in a name, such as the depth of an encoder: a slope each repeat, then their t test.

    Attributes:
        over: The field whose last number is the abscissa.
    """

    kind: Literal["slope"]
    over: str
    ours: dict[str, object] = Field(default_factory=dict)
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
        yield t_cell(groups[0].dataset, label, slopes, quantity.unit, direction=self.direction)


def _matrix(groups: Sequence[Group], quantity: Quantity) -> np.ndarray:
    """(repeats, configurations): scores of the repeats that all configurations have."""
    scores = [group.values(quantity.value) for group in groups]
    shared = sorted(set.intersection(*(set(one) for one in scores))) if scores else []
    return np.array([[one[repeat] for one in scores] for repeat in shared]).reshape(len(shared), len(groups))
