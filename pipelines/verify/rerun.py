"""A recorded trial, trained once more in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch

from dmf.training.data import TrialData
from dmf.training.results import TrialResult
from dmf.training.seeding import reproducible, trial_seed
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pipelines.trials.digests import digests_of, epoch_digests, weights_digest
from pipelines.trials.environment import Environment
from pipelines.trials.record import epoch_row, history_rows, step_rows


@dataclass(frozen=True)
class Rerun:
    """What came out.

    Attributes:
        environment: That of this process.
        digests: By name, as in `pipelines.trials.digests.Digests`; those of the first steps are fewer.
        history: Rows of the steps.
        epochs: Rows of the epochs; none of the first steps.
        result: None of the first steps.
    """

    environment: Environment
    digests: dict[str, str]
    history: pd.DataFrame
    epochs: pd.DataFrame
    result: TrialResult | None


def rerun(spec: TrialSpec, data: TrialData, device: torch.device, told: Callable[[int], object]) -> Rerun:
    """The whole training and its test; `told` hears of each epoch that is done."""
    trial = Trial(spec, data, device=device)
    initial, history, epochs = weights_digest(trial.model.state_dict()), [], []
    while not trial.done:
        report = trial.epoch()
        history.append(step_rows(report, report.epoch * trial.steps_per_epoch))
        epochs.append(epoch_row(report) | epoch_digests(trial))
        told(trial.epochs_done)
    environment, result = Environment.of(trial), trial.finish()
    steps, rows = pd.concat(history, ignore_index=True), pd.DataFrame(epochs)
    digests = digests_of(initial, result, steps, rows).model_dump()
    return Rerun(environment, digests, steps, rows, result)


def rerun_steps(spec: TrialSpec, data: TrialData, device: torch.device, steps: int) -> Rerun:
    """The first steps alone, from whatever epochs they are; nothing is validated or tested."""
    trial = Trial(spec, data, device=device)
    initial, history = weights_digest(trial.model.state_dict()), []
    for epoch in range(-(-min(steps, spec.epochs * trial.steps_per_epoch) // trial.steps_per_epoch)):
        trial.epochs_done = epoch
        with trial.on_stream(join=True), reproducible(trial_seed(spec, f"epoch {epoch}")):
            for batch in trial.begin_epoch()[: steps - epoch * trial.steps_per_epoch]:
                trial.take_step(batch)
            taken = trial.training_step.recorder.drain()
        history.append(history_rows(taken, epoch, epoch * trial.steps_per_epoch))
    rows = pd.concat(history, ignore_index=True)
    return Rerun(Environment.of(trial), {"initial_weights": initial}, rows, pd.DataFrame(), None)
