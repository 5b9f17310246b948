"""Searches of tuned rows without Ray: what a worker of the grid runs, for what Tune's searchers propose."""

from __future__ import annotations

from pathlib import Path

from pipelines.grid.tuning import conclude, proposed
from pipelines.trials.plan import PlannedSearch
from pipelines.trials.tuning import Tuning
from tests.support.attempts import record_trial


def end_search(planned: PlannedSearch, data: Path) -> Tuning:
    """A search from where it stands to its result."""
    while planned.ended is None:
        for trial in proposed(planned):
            if not trial.done:
                record_trial(trial, data)
        conclude(planned, proposed(planned))
    return planned.ended
