"""Which trial runs next, and what becomes of those that fail: the grid's rules, apart from how Ray carries them out.

A *row* is what a table shows as one: a configuration on a data set, with all its seeds.

1. The row with the fewest unfinished trials comes first; among equals, the study's order. So rows become complete one
   after the other, and what is begun is finished before something new is.
2. A row is *proven* when one of its trials has trained an epoch. Until then only one of its trials runs at a time.
3. A fault of the configuration (a shape that does not fit, memory that does not suffice) fails the trial, and the
   trials of the row that wait are skipped with that reason, unless one of the row has finished: then it does work.
4. A trial that diverges fails alone.
5. A trial whose machine failed it (worker, disk, code) runs again, from its last epoch on. It fails when that has
   happened `DEATHS` times with no epoch in between; if its row is not proven, the others are skipped.
6. Trials that train side by side in one worker are taken by the same rules, among those that see the same images.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dmf.training.packed import obstacle
from pipelines.trials.failure import Failure
from pipelines.trials.plan import PlannedTrial

DEATHS = 4
"""How often in a row a trial may lose its worker or its disk without finishing an epoch."""


@dataclass
class _Row:
    order: int
    waiting: deque[PlannedTrial] = field(default_factory=deque)
    running: set[str] = field(default_factory=set)
    proven: bool = False
    works: bool = False

    @property
    def ready(self) -> bool:
        return bool(self.waiting) and (self.proven or not self.running)

    @property
    def priority(self) -> tuple[int, int]:
        return len(self.waiting) + len(self.running), self.order


class TrialQueue:
    """The trials of a study that are not done.

    Args:
        planned: All trials of the study, in its order; those that are done prove their rows.
    """

    def __init__(self, planned: Sequence[PlannedTrial]) -> None:
        self.failures: dict[str, Failure] = {}
        self._trials = {trial.identifier: trial for trial in planned}
        self._rows: dict[tuple[str, str], _Row] = {}
        self._deaths: defaultdict[str, list[Failure]] = defaultdict(list)
        for trial in planned:
            row = self._rows.setdefault(trial.row, _Row(order=len(self._rows)))
            if trial.done:
                row.proven = row.works = True
            else:
                row.waiting.append(trial)

    @property
    def exhausted(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not any(row.waiting or row.running for row in self._rows.values())

    def take(self, beside: PlannedTrial | None = None) -> PlannedTrial | None:
        """The trial to run next, in one pack with `beside` if that is given; None if none may start now."""

        def fits(row: _Row) -> bool:
            return row.ready and not (beside and obstacle(beside.spec, row.waiting[0].spec))

        row = min(filter(fits, self._rows.values()), key=lambda row: row.priority, default=None)
        if row is None:
            return None
        trial = row.waiting.popleft()
        row.running.add(trial.identifier)
        return trial

    def trained(self, identifier: str) -> None:
        """A trial has finished an epoch."""
        self._row(identifier).proven = True
        self._deaths.pop(identifier, None)

    def finished(self, identifier: str) -> None:
        """A trial's result is on disk."""
        row = self._row(identifier)
        row.running.discard(identifier)
        row.proven = row.works = True

    def failed(self, identifier: str, failure: Failure) -> list[PlannedTrial]:
        """A trial ended without a result. Returns those that are skipped for it."""
        row = self._row(identifier)
        row.running.discard(identifier)
        if failure.kind == "machine":
            deaths = self._deaths[identifier]
            deaths.append(failure)
            if len(deaths) < DEATHS:
                row.waiting.appendleft(self._trials[identifier])
                return []
            often = f"failed by its machine {DEATHS} times with no epoch in between"
            told = next((death for death in reversed(deaths) if death.log), failure)  # the others only know it died
            failure = replace(told, error=f"{often}: {told.error}")
        self.failures[identifier] = failure
        alone = {"configuration": row.works, "machine": row.proven}.get(failure.kind, True)
        return [] if alone else self._skip(row.waiting, because=self._trials[identifier], failure=failure)

    def _skip(self, waiting: deque[PlannedTrial], because: PlannedTrial, failure: Failure) -> list[PlannedTrial]:
        skipped = [*waiting]
        waiting.clear()
        reason = f"skipped because seed {because.spec.seed} ({because.identifier}) failed: {failure.error}"
        self.failures |= {trial.identifier: Failure("skipped", reason, log=failure.log) for trial in skipped}
        return skipped

    def _row(self, identifier: str) -> _Row:
        return self._rows[self._trials[identifier].row]
