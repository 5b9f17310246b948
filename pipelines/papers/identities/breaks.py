"""A break, and how much of a difference rounding explains."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.papers.printed import Printed


@dataclass(frozen=True)
class Break:
    """Printed numbers that cannot all be right.

    Attributes:
        check: Name of the identity, such as `dice_bound`.
        cells: The printed numbers that disagree; the odd one out comes first.
        amount: By how much, in the cells' own unit (percentage points, or a fraction of 1).
        reason: One sentence for a footnote.
        marks: Whether a table should mark the cells; a break of a sentence leaves the table as it is.
    """

    check: str
    cells: tuple[Printed, ...]
    amount: float
    reason: str
    marks: bool = True

    @property
    def paper(self) -> str:
        return self.cells[0].paper

    @property
    def table(self) -> str:
        return self.cells[0].table


def rounding(*cells: Printed) -> float:
    """How far a sum or difference of printed numbers may lie from that of the numbers before printing."""
    return sum(cell.rounding for cell in cells)


def exceeds(amount: float, allowed: float) -> bool:
    """Whether a difference is more than what is allowed for, floating-point noise apart."""
    return amount > allowed + 1e-9
