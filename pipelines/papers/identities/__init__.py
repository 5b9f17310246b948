"""What is wrong in print, by arithmetic alone: printed cells that break an identity, and sentences that break a table.

Everything is computed from `published/*.csv` and, for what stands in prose only, `statements.yaml`.
"""

from __future__ import annotations

from functools import cache

from pipelines.papers.identities.breaks import Break
from pipelines.papers.identities.classified import classification_breaks
from pipelines.papers.identities.overlap import overlap_breaks
from pipelines.papers.identities.prose import prose_breaks
from pipelines.papers.identities.repeated import repetition_breaks
from pipelines.papers.printed import Printed, printed

__all__ = ["Break", "broken_cells", "find_breaks"]


@cache
def find_breaks() -> tuple[Break, ...]:
    """Every break that the four papers' numbers hold."""
    numbers = printed()
    found = [*overlap_breaks(numbers), *repetition_breaks(numbers), *classification_breaks(numbers)]
    return (*found, *prose_breaks(numbers))


def broken_cells() -> dict[Printed, list[Break]]:
    """By printed cell, the breaks that it takes part in: what a table marks. Sentences mark no cell."""
    found: dict[Printed, list[Break]] = {}
    for one in find_breaks():
        for cell in one.cells if one.marks else ():
            found.setdefault(cell, []).append(one)
    return found
