"""A printed table with ours in it: cells, lines, heads and what has to be said about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.papers.identities import Break
from pipelines.papers.printed import Printed


@dataclass(frozen=True)
class Measured:
    """Mean and sample standard deviation over `n` trainings, in the paper's unit; no deviation for one."""

    mean: float
    std: float
    n: int

    @property
    def variance_of_mean(self) -> float:
        """The square of the standard error."""
        return self.std**2 / self.n

    def shown(self, decimals: int) -> str:
        """Such as 93.11 ± 0.40; n/a for what is no number."""
        if not math.isfinite(self.mean):
            return "n/a"
        spread = f" ± {self.std:.{decimals}f}" if math.isfinite(self.std) else ""
        return f"{self.mean:.{decimals}f}{spread}"


@dataclass(frozen=True)
class Cell:
    """One place of a table.

    Attributes:
        ours, theirs: As they are shown; empty if there is none.
        measured, number: What they say, if it is a number.
        difference: Ours minus the printed value; none where ours was trained on other data.
        errors: The difference in standard errors.
        breaks: What the printed value contradicts.
    """

    ours: str = ""
    theirs: str = ""
    measured: Measured | None = None
    number: Printed | None = None
    difference: float = math.nan
    errors: float = math.nan
    breaks: tuple[Break, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it shows neither ours nor theirs. (Equality would not say so: no number equals none.)"""
        return not (self.ours or self.theirs)

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the identities that the printed value breaks, each once."""
        return tuple(dict.fromkeys(one.check for one in self.breaks))


def score_cell(
    ours: Measured | None,
    number: Printed | None,
    decimals: int,
    repeats: int | None = None,
    same_data: bool = True,
    breaks: Sequence[Break] = (),
) -> Cell:
    """Ours beside the printed number.

    The standard error of the difference is sqrt(s^2 / n + S^2 / N): s over our n trainings, S the printed deviation
    over the paper's N = `repeats`. Where the paper has no S, or does not tell N, its number counts as exact.
    """
    difference = errors = math.nan
    if ours is not None and number is not None and same_data:
        difference = ours.mean - number.value
        printed_variance = number.std**2 / repeats if number.std is not None and repeats else 0.0
        error = math.sqrt(ours.variance_of_mean + printed_variance)
        errors = difference / error if error > 0 else math.nan
    return Cell(
        ours="" if ours is None else ours.shown(decimals),
        theirs="" if number is None else _as_printed(number),
        measured=ours,
        number=number,
        difference=difference,
        errors=errors,
        breaks=tuple(breaks),
    )


def _as_printed(number: Printed) -> str:
    """Mean and deviation; the latter's last zeros are not in our copy."""
    return number.text if number.std is None else f"{number.text} ± {number.std:g}"


@dataclass(frozen=True)
class Line:
    """One printed row; a quoted one has numbers that the paper takes from elsewhere, and none of ours."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    quoted: bool = False


@dataclass(frozen=True)
class Sheet:
    """A paper's table, filled.

    Attributes:
        name: Such as "adaptexp-7".
        number: As printed, such as "7".
        label_heads: Heads of the columns of labels.
        heads: Of each other column, its heads from the top down; all have as many.
        notes: What is missing, what stands for what, how ours is counted.
    """

    name: str
    number: str
    caption: str
    label_heads: tuple[str, ...]
    heads: tuple[tuple[str, ...], ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"table_{self.number}"

    @property
    def marks(self) -> dict[str, str]:
        """A letter for each identity that a printed cell breaks, in the order of the cells."""
        checks = dict.fromkeys(check for line in self.lines for cell in line.cells for check in cell.checks)
        return {check: "abcdefghijklmnopqrstuvwxyz"[place] for place, check in enumerate(checks)}

    @property
    def mark_notes(self) -> list[tuple[str, str]]:
        """Of each letter, the first break's sentence, and how many more the CSV file holds."""
        reasons: dict[str, dict[str, None]] = {check: {} for check in self.marks}
        for line in self.lines:
            for cell in line.cells:
                for one in cell.breaks:
                    reasons[one.check][one.reason] = None
        return [(self.marks[check], _first_of(list(found))) for check, found in reasons.items()]


@dataclass(frozen=True)
class Unmade:
    """A table of which nothing can be filled, and why, in one line."""

    name: str
    number: str
    reason: str


def _first_of(reasons: Sequence[str]) -> str:
    more = len(reasons) - 1
    return reasons[0] + (f" ({more} more like it in the CSV file.)" if more else "")
