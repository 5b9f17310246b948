"""One attempt at one trial: taken up where the last attempt left it, and on record epoch by epoch until it is done."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from ray.exceptions import RayError

from dmf.training.data import TrialData
from dmf.training.results import EpochReport, TrainingDiverged
from dmf.training.trial import Trial
from pipelines.grid.courier import Post
from pipelines.trials.columns import HistoryColumns
from pipelines.trials.digests import digests_of, epoch_digests, weights_digest
from pipelines.trials.environment import Environment
from pipelines.trials.failure import Failure, FailureKind, clear_failure, write_failure
from pipelines.trials.identity import OtherCode, require_planned_code
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import Description, Start, epoch_row, now, record_of, step_rows, write_trial
from pipelines.trials.tuning import metric_of
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder

SHARE = 0.005
"""Part of a trial's time that saving its state may take, the wait for the disk with it: it is saved after every epoch
that is long enough for that."""

LONGEST = 300.0
"""Seconds of training after which an epoch is saved whatever that costs."""

FIRST_SAVE = 0.01
"""Seconds that a save is taken to last before one has been measured."""


@dataclass(frozen=True)
class Setting:
    """What the attempts of a worker share.

    Attributes:
        post: The way to the driver, if it does not see the folders of this worker's trials.
    """

    study: str
    code_version: str
    device: torch.device
    data: Callable[[PlannedTrial], TrialData]
    cases: Callable[[PlannedTrial], pd.DataFrame]
    post: Post | None = None


class RecordError(Exception):
    """What was computed could not be written or read."""


class NoAccelerator(Exception):
    """The study asks for a GPU, and there is none that works here."""


FAULTS_OF_MACHINE = (RecordError, OtherCode, NoAccelerator, torch.AcceleratorError, ImportError, OSError)
"""Of the computer a trial ran on: another one, or the same one later, may do better."""

FAULTS_OF_PROCESS = (OtherCode, NoAccelerator, torch.AcceleratorError, ImportError)
"""After which a process is of no use: every later call on the device fails, or it may have imported the other code."""

SAID_BY_DEVICES = ("CUDA error", "CUDA driver", "No CUDA GPUs", "CUBLAS_STATUS_", "CUDNN_STATUS_EXECUTION", "HIP error")
"""In messages of plain RuntimeErrors about an accelerator that fails."""


SAID_OF_FULL_DISKS = ("No space left on device", "unexpected pos", "PytorchStreamWriter failed", "iostream error")
"""In messages without an error number; all but the first are torch's of a file that was cut short."""

OWN_FAULTS = (RecordError, OtherCode, NoAccelerator)
"""Exceptions of ours, whose messages say all."""


class Attempt:
    """A trial on this worker. Whatever goes wrong ends it and becomes `failure`; nothing is raised.

    Args:
        planned: The trial, in a folder that this worker can write to.
        setting: What attempts share.
        home: Its folder at the driver, if that is another one.

    Attributes:
        trial: The training run, from `open` to the end.
        ended: Whether there is nothing left to do, for good or ill.
        failure: Why, if it is for ill; on record in failure.json too.
        spoils: Why no other trial may run in this process afterwards, or an empty string.
    """

    def __init__(self, planned: PlannedTrial, setting: Setting, home: Path | None = None) -> None:
        self.planned = planned
        self._home = home or planned.folder
        self.trial: Trial | None = None
        self.ended = False
        self.failure: Failure | None = None
        self.spoils = ""
        self._setting = setting
        self._unfinished = Unfinished(unfinished_folder(planned.folder))
        self._lock = ExitStack()
        self._number = 1
        self._progress = Progress()
        self._initial_weights = ""
        self._history: list[pd.DataFrame] = []
        self._epochs: list[dict[str, Any]] = []
        self._saved_at = time.monotonic()
        self._save_cost = FIRST_SAVE

    def open(self) -> None:
        """Take the trial, and go on from the newest state that can be read."""
        with self._ends_by_failing():
            with _recording():
                self._lock.enter_context(self._unfinished.lock())
            if self._setting.post:
                with _recording():
                    self._setting.post.bring(self._unfinished.folder)
            if self.planned.done:  # by a worker of a killed driver, while this one waited
                self._end()
                return
            self._progress = self._unfinished.progress()
            self._number = len(self._progress.attempts) + 1
            started = now()
            require_planned_code(self.planned.spec, self.planned.code_fingerprint)
            self.trial = self._new_trial()
            with _recording():
                clear_failure(self.planned.folder)
                self._resume(self.trial, started)

    def record(self, report: EpochReport) -> None:
        """Keep what an epoch was, and save the state if that costs little enough of the time trained since."""
        with self._ends_by_failing(), _recording():
            trial = self.training
            self._history.append(step_rows(report, report.epoch * trial.steps_per_epoch))
            self._epochs.append(epoch_row(report) | epoch_digests(trial))
            self._progress.score = _score(trial, report)
            trained = time.monotonic() - self._saved_at
            if trained * SHARE >= self._save_cost or trained >= LONGEST:
                self._save(trial)

    def finish(self) -> None:
        """Test the trial and put its folder in place."""
        with self._ends_by_failing():
            result = self.training.finish()
            with _recording():
                history, epochs = pd.concat(self._history, ignore_index=True), pd.DataFrame(self._epochs)
                record = record_of(
                    self.planned.folder,
                    self._description,
                    self._progress.attempts,
                    result,
                    digests_of(self._initial_weights, result, history, epochs),
                    seconds=self._progress.seconds + time.monotonic() - self._saved_at,
                    steps_per_epoch=self.training.steps_per_epoch,
                )
                write_trial(record, result, history, epochs, self._setting.cases(self.planned))
                self._ship(self.planned.folder)
                self._end()

    def fail(self, error: Exception) -> None:
        """End the attempt; the cause is on record if the disk can hold it."""
        trace = "".join(traceback.format_exception(error))
        log = unfinished_folder(self._home) / self._unfinished.log_file.name
        message = str(error) if isinstance(error, OWN_FAULTS) else f"{type(error).__name__}: {error}"
        self.spoils = message if isinstance(error, FAULTS_OF_PROCESS) or _said_by_device(error) else ""
        self.failure = Failure(_kind(error), message, self._number, platform.node(), str(log), trace)
        try:
            self._unfinished.log(f"failed ({self.failure.kind}): {message}\n{trace}")
            if self.failure.kind != "machine":  # of those the driver knows whether they are final
                write_failure(self.planned.folder, self._description, self.failure, self._progress.attempts)
                self._unfinished.restart(0)
                self._ship(self.planned.folder)
            self._ship(self._unfinished.folder)
        except (OSError, RayError) as second:
            print(f"{self.planned.identifier}: {message}; this could not be written down: {second}", file=sys.stderr)
        self.close()

    def leave(self) -> None:
        """Save what has been trained and let go of the trial: the machine is wanted back."""
        with self._ends_by_failing(), _recording():
            if self._progress.epochs_done < self.training.epochs_done:
                self._save(self.training)
            self._unfinished.log(f"asked to leave (SIGTERM) after {self._progress.epochs_done} epochs")
        self.close()

    def close(self) -> None:
        """Let go of the trial, done or not."""
        self.ended, self.trial = True, None
        self._lock.close()

    @property
    def training(self) -> Trial:
        """The training run. Raises RuntimeError before `open` and after the end."""
        if self.trial is None:
            raise RuntimeError(f"Trial {self.planned.identifier} is not open.")
        return self.trial

    @property
    def complete(self) -> bool:
        """Whether it has trained all that is wanted of it: its epochs, or as many as a search that stops it early."""
        return self.training.done or (self.planned.proposal is not None and self._stopped)

    @property
    def _stopped(self) -> bool:
        """Whether the driver's search has said so, beside the trial's folder there."""
        post, epochs = self._setting.post, self.training.epochs_done
        return post.stopped(self._unfinished.folder, epochs) if post else self._unfinished.stopped(epochs)

    @property
    def score(self) -> float:
        """The validation metric by which the trial selects its epoch, after the last one."""
        return self._progress.score or 0.0

    @contextmanager
    def _ends_by_failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of any kind: the cause goes on record, and the worker on to other trials
            self.fail(error)

    def _new_trial(self) -> Trial:
        trial = Trial(self.planned.spec, self._setting.data(self.planned), device=self._setting.device)
        self._initial_weights = weights_digest(trial.model.state_dict())
        return trial

    @property
    def _description(self) -> Description:
        return self.planned.describe(self._setting.study, self._setting.code_version)

    def _resume(self, trial: Trial, started: str) -> None:
        for checkpoint in self._unfinished.checkpoints():
            try:
                trial.load_state_dict(checkpoint.state)
            except ValueError as error:
                self._unfinished.log(f"state of no use: {error}")
                trial = self.trial = self._new_trial()
                continue
            self._history = [checkpoint.history]
            self._epochs = [{str(name): row[name] for name in row} for row in checkpoint.epochs.to_dict("records")]
            break
        self._unfinished.restart(trial.epochs_done)
        epochs, environment = trial.epochs_done, Environment.of(trial)
        begun = Start(started=started, process=os.getpid(), after_epochs=epochs, environment=environment)
        self._progress.attempts.append(begun)
        self._progress.epochs_done, self._progress.steps_per_epoch = epochs, trial.steps_per_epoch
        self._progress.description = self._description
        self._unfinished.write_progress(self._progress)
        self._unfinished.log(f"attempt {self._number} begins after {epochs} epochs")

    def _save(self, trial: Trial) -> None:
        begun = time.monotonic()
        first = self._progress.epochs_done
        history = pd.concat(self._history, ignore_index=True)
        rows = history[history[HistoryColumns.epoch] >= first], pd.DataFrame(self._epochs[first:])
        self._history = [history]
        self._progress.epochs_done = trial.epochs_done
        self._progress.seconds += begun - self._saved_at
        self._unfinished.save(trial.state_dict(), *rows, self._progress)
        self._ship(self._unfinished.folder)
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - begun

    def _ship(self, folder: Path) -> None:
        """Let the driver have it, where it does not see this disk."""
        if self._setting.post and folder.is_dir():
            self._setting.post.ship(folder)

    def _end(self) -> None:
        self._unfinished.remove()
        if self._setting.post:
            shutil.rmtree(self.planned.folder, ignore_errors=True)
        self.close()


def _score(trial: Trial, report: EpochReport) -> float:
    return report.validation[metric_of(trial.spec.selection, report.validation)]


@contextmanager
def _recording() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # torch and pyarrow raise many kinds for a disk that fails
        cause = "the disk is full" if _tells_of_full_disk(error) else type(error).__name__
        raise RecordError(f"{cause}: {error}") from error


def _tells_of_full_disk(error: BaseException) -> bool:
    number = getattr(error, "errno", None)
    return number in (errno.ENOSPC, errno.EDQUOT) or any(words in str(error) for words in SAID_OF_FULL_DISKS)


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, TrainingDiverged):
        return "divergence"
    return "machine" if isinstance(error, FAULTS_OF_MACHINE) or _said_by_device(error) else "configuration"


def _said_by_device(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID_BY_DEVICES)
