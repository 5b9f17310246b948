"""What one Ray worker does: trials one after the other, an epoch a step, each written whole when it ends."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import torch
from ray import tune

from dmf.data import TrialData
from dmf.train import Trial, TrialResult
from pipelines import arrays
from pipelines.grid.plan import PlannedTrial
from pipelines.records import epoch_row, step_rows, write_failure, write_trial
from pipelines.tracking import TRACKING_ERRORS, Mirror, MirroredRun


@dataclass(frozen=True)
class Inputs:
    """Arrays of one data set as they travel through the object store, where workers of one node share them.

    They hold every image once, whatever the splits of the trials: a trial picks its rows by the table of cases.
    """

    images: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    cases: pd.DataFrame

    def tensors(self, split: str) -> TrialData:
        """The same as tensors, dealt as `split` says; copied, since what comes from the object store is read-only."""
        rows = {side: torch.from_numpy(index) for side, index in arrays.split_rows(self.cases, split).items()}
        return TrialData(torch.tensor(self.images), torch.tensor(self.targets), rows, self.classes)


@dataclass(frozen=True)
class Job:
    """What all workers of a grid share."""

    study: str
    planned: dict[str, PlannedTrial]
    inputs: dict[tuple[str, bool], Inputs]
    tracking_uri: str
    code_version: str
    threads: int


class TrialWorker(tune.Trainable):
    """Runs planned trials under Ray Tune; the actor is reused from trial to trial.

    A trial that raises is recorded as failed and not tried again: the same code on the same data fails the same way.
    A worker that dies is another matter; Tune starts its trial again elsewhere.
    """

    def setup(self, config: dict[str, Any], job: Job) -> None:
        self.job = job
        torch.set_num_threads(job.threads)
        self._begin(config["identifier"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config["identifier"])
        return True

    def step(self) -> dict[str, Any]:
        try:
            return self._epoch()
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            cause = {"error": message, "traceback": traceback.format_exc(), "node": platform.node()}
            write_failure(self.planned.folder, {**self._describe(), **cause})
            self._mirror(lambda run: run.fail(message))
            return {"done": True, "failed": True, "error": message}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: an unfinished trial starts again."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _begin(self, identifier: str) -> None:
        self.planned = self.job.planned[identifier]
        self.started = time.time()
        self.trial: Trial | None = None
        self.steps: list[pd.DataFrame] = []
        self.epochs: list[dict[str, Any]] = []
        self.run: MirroredRun | None = None

    def _epoch(self) -> dict[str, Any]:
        trial = self.trial or self._open()
        report = trial.epoch()
        self.steps.append(step_rows(report, report.epoch * trial.steps_per_epoch))
        self.epochs.append(epoch_row(report))
        self._mirror(lambda run: run.log_steps(self.steps[-1]))
        self._mirror(lambda run: run.log_epochs(pd.DataFrame([self.epochs[-1]]), trial.steps_per_epoch))
        if trial.done:
            self._write(trial.finish())
        return {"epoch": report.epoch + 1, "score": report.validation["dice"], "failed": False, "done": trial.done}

    def _open(self) -> Trial:
        spec = self.planned.spec
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.trial = Trial(spec, self.job.inputs[spec.dataset, spec.filtered].tensors(spec.split), device=device)
        self._open_run()
        return self.trial

    def _write(self, result: TrialResult) -> None:
        steps = pd.concat(self.steps, ignore_index=True)
        cases = self.job.inputs[self.planned.spec.dataset, self.planned.spec.filtered].cases
        write_trial(self.planned.folder, self._describe(), result, steps, pd.DataFrame(self.epochs), cases)
        self._mirror(lambda run: run.finish(self.planned.folder))

    def _mirror(self, action: Callable[[MirroredRun], None]) -> None:
        """Tell MLflow. If it is away, training goes on: the grid brings MLflow level from the Parquet files later."""
        if self.run is None:
            return
        try:
            action(self.run)
        except TRACKING_ERRORS as error:
            self.run = None
            print(f"MLflow is away ({error}); trial {self.planned.identifier} goes on without.", file=sys.stderr)

    def _open_run(self) -> None:
        try:
            self.run = Mirror(self.job.study, self.job.tracking_uri).start(self._describe())
        except TRACKING_ERRORS as error:
            print(f"MLflow is away ({error}); trial {self.planned.identifier} goes on without.", file=sys.stderr)

    def _describe(self) -> dict[str, Any]:
        planned = self.planned
        return {
            "identifier": planned.identifier,
            "study": self.job.study,
            "configuration": planned.configuration,
            "spec": planned.spec.to_dict(),
            "data_checksum": planned.data_checksum,
            "code_fingerprint": planned.code_fingerprint,
            "code_version": self.job.code_version,
            "started": datetime.fromtimestamp(self.started, UTC).isoformat(timespec="seconds"),
            "seconds": round(time.time() - self.started, 3),
            "steps_per_epoch": self.trial.steps_per_epoch if self.trial else 0,
            "environment": _environment(),
        }


def _environment() -> dict[str, str]:
    """What the trial ran on: recorded, but no part of its identity."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
    return {
        "node": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
        "threads": str(torch.get_num_threads()),
    }
