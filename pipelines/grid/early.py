"""Ray Tune's ASHA over the proposals of a search: those that do badly at a rung are tested where they stand.

Which ones that are depends on the order in which they get there, as in any asynchronous search; what was decided is on
record and stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from pipelines.grid.search import GridSearch, WorkerStarts
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import read_trial
from pipelines.trials.tuning import scores_by_epoch
from pipelines.trials.unfinished import Unfinished, unfinished_folder

GRACE = 8
"""An n-th of a trial's epochs, at least one, is its first rung; each later one is `FACTOR` times as far."""

FACTOR = 4
"""At a rung only those go on that are among the best n-th of all that have come to it."""

Key = tuple[str, str, str]


class EarlyStops(WorkerStarts):
    """Asks a scheduler of Tune's own for each search, and has the trials that it stops end after their epoch.

    Tune itself would kill a worker that it stops, and a pack with it. Here the worker finds the word beside the trial's
    saved state, or asks the driver for it where it does not see that disk, tests the trial and files it like any other;
    if that worker dies, the next one finds it.
    """

    def __init__(self, search: GridSearch, proposals: Sequence[PlannedTrial]) -> None:
        super().__init__(search)
        self._proposals = {trial.identifier: trial for trial in proposals}
        self._asha: dict[Key, ASHAScheduler] = {}
        for trial in proposals:
            longest = max(other.spec.epochs for other in proposals if _search_of(other) == _search_of(trial))
            asha = self._asha.setdefault(_search_of(trial), _scheduler(longest))
            asha.on_trial_add(None, _named(trial))
            if trial.done:
                self._replay(trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        report = result["report"]
        for identifier, score in report.scores.items():
            planned, epochs = self._proposals.get(identifier), report.trained.get(identifier, 0)
            if planned and epochs < planned.spec.epochs and self._stops(planned, epochs, score):
                Unfinished(unfinished_folder(planned.folder)).stop(epochs)
        return TrialScheduler.CONTINUE

    def _replay(self, trial: PlannedTrial) -> None:
        """Tell the scheduler of a trial that was finished before."""
        for epoch, score in enumerate(scores_by_epoch(trial.spec.selection, read_trial(trial.folder).epoch_table)):
            self._stops(trial, epoch + 1, score)

    def _stops(self, trial: PlannedTrial, epochs: int, score: float) -> bool:
        asha = self._asha[_search_of(trial)]
        said = asha.on_trial_result(None, _named(trial), {"epochs": epochs, "score": score})
        return bool(said == TrialScheduler.STOP)


def _scheduler(epochs: int) -> ASHAScheduler:
    return ASHAScheduler(
        time_attr="epochs",
        metric="score",
        mode="max",
        max_t=epochs,
        grace_period=max(1, epochs // GRACE),
        reduction_factor=FACTOR,
        stop_last_trials=False,
    )


def _search_of(trial: PlannedTrial) -> Key:
    return trial.configuration, trial.spec.dataset, trial.spec.split


def _named(trial: PlannedTrial) -> Any:
    """All that ASHA wants of a trial; Tune's own ones are runs of workers here (`GridSearch`)."""
    return SimpleNamespace(trial_id=trial.identifier)
