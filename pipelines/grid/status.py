"""Where a grid stands, read from disk alone: done, running, waiting, failed."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmf.models import IF_AVAILABLE
from pipelines.trials.failure import Failure, read_failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE, read_trial
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder

WINDOW = 3600.0
"""Seconds over which throughput is counted."""


@dataclass(frozen=True)
class GridStatus:
    """Where each planned trial stands.

    Attributes:
        done: When each finished trial was written, in seconds since 1970, by identifier.
        running: Progress of trials that a live process holds.
        interrupted: Progress of trials that wait with saved epochs.
        failed: Why, of trials that are neither done nor running.
    """

    planned: Sequence[PlannedTrial]
    done: Mapping[str, float]
    running: Mapping[str, Progress]
    interrupted: Mapping[str, Progress]
    failed: Mapping[str, Failure]

    @property
    def waiting(self) -> int:
        return len(self.planned) - len(self.done) - len(self.running) - len(self.failed)

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows of the tables are complete, and how many there are."""
        missing = Counter(trial.row for trial in self.planned if trial.identifier not in self.done)
        rows = {trial.row for trial in self.planned}
        return len(rows) - len(missing), len(rows)

    def per_hour(self, now: float | None = None) -> float:
        """Trials an hour, over the last `WINDOW` or since the first was finished within it."""
        now = time.time() if now is None else now
        recent = [at for at in self.done.values() if now - at <= WINDOW]
        return 3600 * len(recent) / max(1.0, now - min(recent)) if len(recent) > 1 else 0.0


def grid_status(planned: Sequence[PlannedTrial]) -> GridStatus:
    """Look at the folders of all planned trials once."""
    results = planned[0].folder.parent
    written, room = _names(results), unfinished_folder(planned[0].folder).parent
    begun = _names(room)
    done: dict[str, float] = {}
    running: dict[str, Progress] = {}
    interrupted: dict[str, Progress] = {}
    failed: dict[str, Failure] = {}
    for trial in planned:
        name = trial.identifier
        if name in written and (at := _written_at(results / name / DONE)) is not None:
            done[name] = at
            continue
        unfinished = Unfinished(room / name) if name in begun else None
        if unfinished and unfinished.running:
            running[name] = unfinished.progress()
        elif name in written and (failure := read_failure(results / name)):
            failed[name] = failure
        elif unfinished and (progress := unfinished.progress()).epochs_done:
            interrupted[name] = progress
    return GridStatus(planned, done, running, interrupted, failed)


def random_starts(planned: Sequence[PlannedTrial]) -> str:
    """A sentence about finished trials that asked for pretrained weights if available and began without; or nothing."""
    asked = [trial for trial in planned if trial.spec.model_params.get("pretrained") == IF_AVAILABLE and trial.done]
    without = [trial.title for trial in asked if read_trial(trial.folder).random_start]
    if not without:
        return ""
    return (
        f"{len(without)} of {len(asked)} trials could not have their pretrained weights and began from random ones, as "
        f"`pretrained: {IF_AVAILABLE}` allows, such as {without[0]}; the report marks their rows."
    )


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()


def _written_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
