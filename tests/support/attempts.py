"""Trials on record without Ray: planned, trained and written by the code that a worker of the grid runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from dmf.training.packed import train_epoch
from pipelines.grid.attempt import Attempt, Setting
from pipelines.grid.courier import Post
from pipelines.grid.inputs import load_inputs
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import TrialRecord, read_trial


def attempt_of(planned: PlannedTrial, data: Path, post: Post | None = None, home: Path | None = None) -> Attempt:
    """An open attempt at a trial; `post` and `home` where the driver does not see its folder."""
    inputs = load_inputs(data, planned.spec, search=planned.proposal is not None)
    setting = Setting(
        planned.folder.parent.name,
        "code",
        torch.device("cpu"),
        lambda trial: inputs.trial_data(trial.spec.split),
        lambda _: inputs.cases,
        post,
    )
    attempt = Attempt(planned, setting, home)
    attempt.open()
    return attempt


def train_side_by_side(attempts: Sequence[Attempt], epochs: int | None = None) -> None:
    """So many epochs of each, or all that are left and the test."""
    for _ in range(epochs or attempts[0].training.spec.epochs - attempts[0].training.epochs_done):
        for attempt, report in zip(attempts, train_epoch([one.training for one in attempts]), strict=True):
            assert not isinstance(report, Exception), report
            attempt.record(report)
    if epochs is None:
        for attempt in attempts:
            attempt.finish()
            assert attempt.failure is None, attempt.failure


def record_trial(planned: PlannedTrial, data: Path) -> TrialRecord:
    """A trial from its first epoch to its record."""
    train_side_by_side([attempt_of(planned, data)])
    return read_trial(planned.folder)
