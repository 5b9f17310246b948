"""The live line of a grid: done, running, failed, best so far, time left."""

from __future__ import annotations

import time
from typing import Any

from ray import tune
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipelines.console import err, say
from pipelines.grid.plan import PlannedTrial

SILENT_SECONDS = 15
"""How often a line is printed where there is no terminal to redraw one."""


class GridProgress(tune.Callback):
    """Follows Tune's trials and shows one line about them."""

    def __init__(self, planned: list[PlannedTrial]) -> None:
        self._planned = {trial.identifier: trial for trial in planned}
        self._kept = sum(trial.done for trial in planned)
        self.ended: set[str] = set()
        self._epochs: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self._best: tuple[float, str] = (-1.0, "")
        self._started = self._printed = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[line]}"),
        )
        self._bar = Progress(*columns, console=err, disable=not err.is_terminal)
        self._task = self._bar.add_task("grid", total=len(planned), completed=self._kept, line="starting")

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore of its own, which is not how a grid continues."""
        return {}

    def __enter__(self) -> GridProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        identifier = result["config"]["identifier"]
        if result["failed"]:
            self.failed[identifier] = result["error"]
            err.print(f"failed: {self._planned[identifier].configuration}: {result['error']}", markup=False)
        else:
            self._epochs[identifier] = result["epoch"]
            self._best = max(self._best, (result["score"], self._planned[identifier].configuration))
        if result["done"]:
            self.ended.add(identifier)
            self._epochs[identifier] = self._planned[identifier].spec.epochs
        self._show(sum(other.status == "RUNNING" for other in trials))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.failed[trial.config["identifier"]] = str(trial.get_pickled_error() or trial.get_error()).strip()

    def _show(self, running: int) -> None:
        line = (
            f"{running} running, {len(self.failed)} failed, "
            f"best val Dice {100 * self._best[0]:.1f} ({self._best[1]}), {self._time_left()} left"
        )
        completed = self._kept + len(self.ended)
        self._bar.update(self._task, completed=completed, line=line)
        now = time.monotonic()
        if not err.is_terminal and (now - self._printed > SILENT_SECONDS or completed == len(self._planned)):
            self._printed = now
            say(f"grid: {completed} of {len(self._planned)} done, {line}")

    def _time_left(self) -> str:
        epochs = sum(trial.spec.epochs for trial in self._planned.values())
        kept = sum(t.spec.epochs for t in self._planned.values() if t.done and t.identifier not in self._epochs)
        trained = sum(self._epochs.values())
        if not trained:
            return "?"
        seconds = (time.monotonic() - self._started) / trained * (epochs - kept - trained)
        return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"
