"""The live line of a grid: done, running, failed, best so far, time left."""

from __future__ import annotations

import time
from typing import Any

from ray import tune
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipelines.core.console import err, say
from pipelines.grid.estimate import spell_seconds
from pipelines.grid.queue import TrialQueue
from pipelines.grid.worker import StepReport
from pipelines.trials.failure import Failure
from pipelines.trials.plan import PlannedTrial

SILENT_SECONDS = 15
"""How often a line is printed where there is no terminal to redraw one."""


class GridProgress(tune.Callback):
    """Follows Tune's trials and shows one line about them."""

    def __init__(self, planned: list[PlannedTrial], queue: TrialQueue) -> None:
        self._queue = queue
        self._planned = {trial.identifier: trial for trial in planned}
        waiting = [trial for trial in planned if not trial.done]
        self._completed = len(planned) - len(waiting)
        self._epochs_left = sum(trial.spec.epochs for trial in waiting)
        self._epochs: dict[str, int] = {}
        self._trained = 0
        self._running: set[str] = set()
        self._best: tuple[float, str] = (0.0, "none yet")
        self._first_report: float | None = None
        self._printed = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[line]}"),
        )
        self._bar = Progress(*columns, console=err, disable=not err.is_terminal)
        self._task = self._bar.add_task("grid", total=len(planned), completed=self._completed, line="starting")

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore of its own, which is not how a grid continues."""
        return {}

    def __enter__(self) -> GridProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def failed(self, identifier: str, failure: Failure) -> None:
        """A trial has failed for good, or is skipped."""
        trial = self._planned[identifier]
        self._epochs_left -= trial.spec.epochs - self._epochs.get(identifier, 0)
        if failure.kind != "skipped":
            err.print(f"failed: {trial.title}: {failure.error}", markup=False)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        report: StepReport = result["report"]
        for identifier, epochs in report.trained.items():
            before = self._epochs.get(identifier, 0)
            self._epochs[identifier] = epochs
            self._epochs_left -= epochs - before
            self._trained += 1  # a resumed trial brings more with it, but those epochs took no time here
        if self._first_report is None:  # what came before was the start of Ray and of the workers
            self._first_report, self._trained = time.monotonic(), 0
        self._completed += len(report.done)
        self._best = max([self._best, *((at, self._planned[name].configuration) for name, at in report.scores.items())])
        self._show(running=len(self._running) - bool(result["done"]))

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._running.add(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._running.discard(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._running.discard(trial.trial_id)

    def _show(self, running: int) -> None:
        line = (
            f"{running} running, {len(self._queue.failures)} failed, "
            f"best validation score {100 * self._best[0]:.1f} ({self._best[1]}), {self._time_left()} left"
        )
        self._bar.update(self._task, completed=self._completed, line=line)
        now = time.monotonic()
        if not err.is_terminal and (now - self._printed > SILENT_SECONDS or self._completed == len(self._planned)):
            self._printed = now
            say(f"grid: {self._completed} of {len(self._planned)} done, {line}")

    def _time_left(self) -> str:
        if self._first_report is None or not self._trained:
            return "?"
        return spell_seconds((time.monotonic() - self._first_report) / self._trained * max(0, self._epochs_left))
