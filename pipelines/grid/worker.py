"""What one Ray worker does: trials one after the other, an epoch a step."""

from __future__ import annotations

import os
import platform
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import ray
import torch
from ray import tune

from dmf.training.data import TrialData
from dmf.training.loading import build_loader
from dmf.training.packed import images_of, train_epoch
from pipelines.grid.attempt import Attempt, NoAccelerator, Setting
from pipelines.grid.courier import Post
from pipelines.grid.inputs import Images, Inputs, images_read
from pipelines.grid.memory import keep_freed_memory
from pipelines.trials.failure import Failure
from pipelines.trials.plan import PlannedTrial


@dataclass(frozen=True)
class Job:
    """What all workers of a grid share.

    Attributes:
        needs_gpu: Whether the study asks for one.
        sign: A file of the driver's, by which a worker knows that it sees the driver's disk.
        courier: Who brings trials to the driver if it does not (`pipelines.grid.courier`); None on one machine.
    """

    study: str
    planned: dict[str, PlannedTrial]
    inputs: dict[Images, Inputs]
    code_version: str
    threads: int
    needs_gpu: bool = False
    sign: Path | None = None
    courier: Any = None


@dataclass(frozen=True)
class StepReport:
    """What a worker tells the driver after a step.

    Attributes:
        trained: Epochs on record of each trial that goes on or is done.
        scores: The validation metric that selects, of those that trained in this step.
        done, failures: Trials that are at their end, for good or ill.
        node: Ray's name of the machine.
    """

    trained: dict[str, int]
    scores: dict[str, float]
    done: set[str]
    failures: dict[str, Failure]
    node: str


class TrialWorker(tune.Trainable):
    """Runs planned trials under Ray Tune, several side by side if `config["trials"]` names several.

    The actor is reused from one Tune trial to the next. A step trains one epoch of each of its trials and tells the
    driver how far they are; it never raises. Tune's own checkpoints are not used: a trial's state lies in its folder,
    where any worker, grid or machine can take it up. SIGTERM, which tells of a machine that is wanted back, ends the
    worker after the epoch that it trains, with that epoch saved.
    """

    def setup(self, config: dict[str, Any], job: Job) -> None:
        self.job = job
        torch.set_num_threads(job.threads)
        keep_freed_memory()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        apart = job.courier is not None and job.sign is not None and not job.sign.is_file()
        self._post = Post(job.courier) if apart else None
        self._setting = Setting(
            job.study, job.code_version, device, self._data, lambda trial: self._inputs(trial).cases, self._post
        )
        self._loaded: tuple[tuple[object, ...], TrialData] | None = None
        self._spoilt = ""
        self._busy = self._leaving = False
        signal.signal(signal.SIGTERM, self._asked_to_leave)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._busy = True
        try:
            return self._step()
        finally:
            self._busy = False

    def _step(self) -> dict[str, Any]:
        for attempt in self._live():
            if attempt.trial is None:
                attempt.open()
        training = [attempt for attempt in self._live() if not attempt.complete]
        for attempt, report in zip(training, train_epoch([attempt.training for attempt in training]), strict=True):
            if isinstance(report, Exception):
                attempt.fail(report)
            else:
                attempt.record(report)
        trained = {attempt.planned.identifier: attempt.training.epochs_done for attempt in self._live()}
        scores = {attempt.planned.identifier: attempt.score for attempt in training}
        for attempt in self._live():
            if attempt.complete:
                attempt.finish()
        if self._leaving:
            self._leave()
        self._spoilt = next((attempt.spoils for attempt in self.attempts if attempt.spoils), "")
        failures = {attempt.planned.identifier: attempt.failure for attempt in self.attempts if attempt.failure}
        ended = {attempt.planned.identifier for attempt in self.attempts if attempt.ended}
        node = ray.get_runtime_context().get_node_id()
        told = StepReport(trained, scores, ended - failures.keys(), failures, node)
        return {"report": told, "done": not self._live()}

    def cleanup(self) -> None:
        for attempt in self.attempts:
            attempt.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: see above."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see above."""

    def _begin(self, config: dict[str, Any]) -> None:
        if self._spoilt:  # another process takes over
            raise RuntimeError(self._spoilt)
        planned = [self.job.planned[identifier] for identifier in config["trials"]]
        self.attempts = [Attempt(self._placed(trial), self._setting, home=trial.folder) for trial in planned]

    def _placed(self, planned: PlannedTrial) -> PlannedTrial:
        """The trial in a folder that this worker can write to."""
        if self._post is None:
            return planned
        return replace(planned, folder=self._post.trials / self.job.study / planned.identifier)

    def _asked_to_leave(self, number: int, frame: FrameType | None) -> None:
        self._leaving = True
        if not self._busy:
            self._leave()

    def _leave(self) -> None:
        for attempt in self._live():
            attempt.leave()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def _live(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.ended]

    def _inputs(self, planned: PlannedTrial) -> Inputs:
        return self.job.inputs[images_read(planned)]

    def _data(self, planned: PlannedTrial) -> TrialData:
        """The trial's images on the device; the last ones are kept, as a pack and mostly the next one need the same."""
        wanted = images_of(planned.spec)
        if self.job.needs_gpu and self._setting.device.type == "cpu":
            raise NoAccelerator(
                f"{platform.node()} has no GPU that works, and the study asks for one (`resources: gpus`). Mend its "
                "driver, take the machine out of the cluster, or ask for none."
            )
        if self._loaded is None or self._loaded[0] != wanted:
            data = self._inputs(planned).trial_data(planned.spec.split)
            self._loaded = wanted, build_loader(data, self._setting.device).data
        return self._loaded[1]
