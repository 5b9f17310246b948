"""What every kind of test has in common: it turns evidence into cells, each with an effect, an interval and a p."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.papers.evidence import Evidence, Group, paired
from pipelines.papers.inference import ALPHA, estimate, repeats_needed, without_spread
from pipelines.papers.measures import Value, is_distance
from tune_spaces.strict_yaml import StrictModel

Direction = Literal["above", "below"]

FEW = "a spread needs two repeats or more"
FEW_SHARED = "a spread needs two repeats or more, shared by all that is compared"
STILL = "its values have no spread"
NO_NUMBER = "a score is no finite number"
UNSELECTED = "no configuration has a finite score to select it by"


class Outcome(StrEnum):
    """What a test says."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"


class NotTested(Exception):
    """Why a claim cannot be tested on what is at hand; a sentence without its full stop."""


@dataclass(frozen=True)
class Quantity:
    """One number a trial, that a claim is about.

    Attributes:
        unit: "points" for scores in percent, "px" for distances, empty for measures of the course.
        selecting: The same on the validation images; None for what has no such thing.
        protocol, metric: Of a score; empty otherwise.
    """

    name: str
    value: Value
    unit: str
    selecting: Value | None = None
    protocol: str = ""
    metric: str = ""

    @property
    def lower(self) -> bool:
        """Whether the lower is the better."""
        return is_distance(self.metric)

    @property
    def better(self) -> Direction:
        return "below" if self.lower else "above"


@dataclass(frozen=True)
class Cell:
    """One test of a claim.

    Attributes:
        effect, low, high: The estimate and its 95 % interval, in `unit`.
        p: Two-sided, of no effect (or of an effect at the bound); none if nothing could be tested.
        favour: Whether the estimate lies on the claim's side.
        n: Repeats (images, where the test says so).
        needed: By the level of the test, how many it would take for 80 % power at the observed spread; None where
            nobody can tell.
        state: Set by kinds whose verdict is no matter of p alone; filled in for the others by `verdict.decide`.
        reason: Why nothing could be tested.
    """

    dataset: str
    label: str
    effect: float
    low: float
    high: float
    p: float
    favour: bool
    n: int
    unit: str
    needed: Callable[[float], int | None] | None = None
    state: Outcome | None = None
    reason: str = ""

    def picked(self, from_so_many: int) -> Cell:
        """The cell of the best of so many, picked by the scores that are tested: p, and the level, by Bonferroni."""
        needed = self.needed
        return dataclasses.replace(
            self, p=min(from_so_many * self.p, 1.0), needed=needed and (lambda alpha: needed(alpha / from_so_many))
        )


class Contrast(StrictModel):
    """Two sets of configurations, by selectors of spec fields (`Evidence.where`)."""

    ours: dict[str, object]
    rivals: dict[str, object]


class Kind(StrictModel):
    """A named way of testing. Subclasses are what `test:` in a claim may hold.

    Attributes:
        need: How many cells of each data set must be supported; all of them if left out.
    """

    need: int | None = Field(default=None, ge=1)

    @abstractmethod
    def cells(self, evidence: Evidence, quantities: Sequence[Quantity]) -> list[Cell]:
        """The cells of the test.

        Raises:
            NotTested: if the evidence lacks what the test compares.
        """

    @property
    def sides(self) -> list[dict[str, object]]:
        """The selectors of what is compared or looked at."""
        return []

    @property
    def spans_datasets(self) -> bool:
        """Whether its cells are not those of each data set by itself."""
        return any("dataset" in side for side in self.sides)


class ChosenKind(Kind):
    """A kind that looks at `ours`, all of the study's configurations if left out."""

    ours: dict[str, object] = Field(default_factory=dict)

    @property
    def sides(self) -> list[dict[str, object]]:
        return [self.ours]


class ContrastKind(Kind):
    """A kind that holds configurations against others: `ours` and `rivals`, or several such in `compare`."""

    ours: dict[str, object] | None = None
    rivals: dict[str, object] | None = None
    compare: list[Contrast] = Field(default_factory=list)

    @property
    def contrasts(self) -> list[Contrast]:
        if self.ours is None or self.rivals is None:
            return self.compare
        return [Contrast(ours=self.ours, rivals=self.rivals), *self.compare]

    @property
    def sides(self) -> list[dict[str, object]]:
        return [side for one in self.contrasts for side in (one.ours, one.rivals)]

    def pairs(self, evidence: Evidence) -> list[tuple[Group, Group]]:
        """Every pair of configurations that differ in what a contrast names, and in nothing else."""
        found = [pair for one in self.contrasts for pair in evidence.pairs(one.ours, one.rivals)]
        if not found:
            raise NotTested(f"no trials to compare: {missing(evidence, self.contrasts)}")
        return found


def missing(evidence: Evidence, contrasts: Sequence[Contrast]) -> str:
    """Which side of the contrasts no trial fits."""
    sides = [side for contrast in contrasts for side in (contrast.ours, contrast.rivals)]
    empty = [side for side in sides if not evidence.where(side).records]
    return "no configuration has " + "; ".join(map(described, empty)) if empty else "none differ in that alone"


def described(selector: object) -> str:
    """`{weighting: mad, auxiliary: None}` -> weighting mad, auxiliary none."""
    assert isinstance(selector, dict)
    return ", ".join(f"{name} {_value(value)}" for name, value in selector.items()) or "anything"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{word} {_value(one)}" for word, one in value.items())
    if isinstance(value, list):
        return " or ".join("+".join(one) if isinstance(one, list) else _value(one) for one in value)
    return "none" if value is None else str(value)


def t_cell(
    dataset: str,
    label: str,
    values: Sequence[float],
    unit: str,
    *,
    bound: float = 0.0,
    direction: Direction = "above",
    few: str = FEW,
) -> Cell:
    """A t test of the mean of `values` against a bound; the claim is that it lies above or below it."""
    n = len(values)
    if reason := unfit(values, few):
        return untested(dataset, label, unit, reason, n, sum(values) / n if n else math.nan)
    shown, tested = estimate(values), estimate([value - bound for value in values])
    return Cell(
        dataset=dataset,
        label=label,
        effect=shown.mean,
        low=shown.low,
        high=shown.high,
        p=tested.p,
        favour=tested.mean > 0 if direction == "above" else tested.mean < 0,
        n=n,
        unit=unit,
        needed=lambda alpha: repeats_needed(tested.mean, tested.std, alpha),
    )


def paired_cell(ours: Group, theirs: Group, quantity: Quantity, direction: Direction, note: str = "") -> Cell:
    """A t test of ours minus theirs, repeat by repeat."""
    values = paired(ours.values(quantity.value), theirs.values(quantity.value))
    label = title(ours, theirs, quantity) + note
    return t_cell(ours.dataset, label, values, quantity.unit, direction=direction, few=FEW_SHARED)


def unfit(values: Sequence[float], few: str = FEW) -> str:
    """Why no t test can be made of values, or nothing."""
    if len(values) < 2:
        return few
    if not all(map(math.isfinite, values)):
        return NO_NUMBER
    return STILL if without_spread(np.asarray(values)) else ""


def untested(dataset: str, label: str, unit: str, reason: str, n: int = 0, effect: float = math.nan) -> Cell:
    """A cell of which nothing could be tested."""
    return Cell(
        dataset, label, effect, math.nan, math.nan, math.nan, favour=False, n=n, unit=unit, state=Outcome.NOT_TESTED,
        reason=reason,
    )  # fmt: skip


def with_state(cell: Cell, *, supported: bool, contradicted: bool) -> Cell:
    """The cell with a verdict of its own."""
    state = Outcome.SUPPORTED if supported else Outcome.CONTRADICTED if contradicted else Outcome.UNDECIDED
    return dataclasses.replace(cell, state=state)


def simultaneous(cells: int) -> float:
    """The level at which so many intervals hold together with 95 %, by Bonferroni."""
    return 1 - ALPHA / max(1, cells)


def best(groups: Sequence[Group], value: Value, *, lower: bool) -> Group | None:
    """The configuration with the largest (or lowest) mean over repeats, or None where no mean is a number."""
    means = [(float(np.mean(list(group.values(value).values()))), group) for group in groups]
    known = [(mean, group) for mean, group in means if math.isfinite(mean)]
    return (min if lower else max)(known, key=lambda one: one[0])[1] if known else None


def title(group: Group, rival: Group | None, quantity: Quantity) -> str:
    """What a cell is called."""
    versus = f" - {rival.configuration}" if rival else ""
    return f"{quantity.name}, {group.dataset}: {group.configuration}{versus}"
