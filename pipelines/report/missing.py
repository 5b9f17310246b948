"""What a report of an unfinished grid says of the cells that have no result yet."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipelines.report.layout import repeat_of
from pipelines.trials.finished import Missing

MARKED = "Not all trials have finished: 2/3 marks a mean of two where three are planned, `missing` one of none."


def reason(missing: Sequence[Missing], finished: int) -> str:
    """Why no claim has a verdict yet."""
    return f"{len(missing)} of {len(missing) + finished} trials have not finished" if missing else ""


def missing_table(missing: Sequence[Missing]) -> pd.DataFrame:
    """One row a cell, for CSV."""
    return pd.DataFrame(
        {
            "dataset": one.spec.dataset,
            "configuration": one.configuration,
            "seed": one.spec.seed,
            "fold": repeat_of(one.spec)[1],
            "identifier": one.identifier,
            "failed": one.failed,
            "cause": one.cause,
        }
        for one in missing
    )
