"""What a report of an unfinished grid says of the cells that have no result yet."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.trials.finished import Missing

MARKED = "Not all trials have finished: 2/3 marks a mean of two where three are planned, `missing` one of none."


def reason(missing: Sequence[Missing], finished: int) -> str:
    """Why no claim has a verdict yet."""
    return f"{len(missing)} of {len(missing) + finished} trials have not finished" if missing else ""
