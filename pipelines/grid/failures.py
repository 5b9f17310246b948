"""Failed trials as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from pipelines.trials.failure import Failure
from pipelines.trials.plan import PlannedTrial


def failure_table(planned: Sequence[PlannedTrial], failures: Mapping[str, Failure]) -> Table:
    """One row a failed trial, in the study's order: what it is, cause, attempts, node, where the log is."""
    table = Table("trial", "what", "kind", "cause", "attempts", "node", "log", title="Failed trials")
    for trial in planned:
        if trial.identifier in failures:
            failure = failures[trial.identifier]
            cells = (trial.identifier, trial.title, failure.kind, failure.error, str(failure.attempts), failure.node)
            table.add_row(*cells, failure.log)
    return table
