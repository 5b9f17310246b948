"""What the trials that are left will take: from those that are done, or from a quick timing that is said to be one."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from dmf.training.data import epoch_order
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pipelines.core.console import track
from pipelines.grid.inputs import load_inputs
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE

SAMPLE = 200
"""Finished trials that are read; more tell nothing new."""

TIMED = 6
"""Kinds of trials that are timed where nothing is finished; the others count as their mean."""

Kind = tuple[object, ...]


@dataclass(frozen=True)
class Cost:
    """Of one trial: seconds an epoch on one worker, and bytes on disk."""

    epoch_seconds: float
    disk_bytes: float


@dataclass(frozen=True)
class Estimate:
    """Costs by kind of trial, and where they come from."""

    costs: dict[Kind, Cost]
    source: str

    def seconds(self, trial: PlannedTrial) -> float:
        return self._cost(trial).epoch_seconds * trial.spec.epochs

    def disk_bytes(self, trial: PlannedTrial) -> float:
        return self._cost(trial).disk_bytes

    def _cost(self, trial: PlannedTrial) -> Cost:
        return self.costs.get(kind(trial.spec)) or _mean(list(self.costs.values()))


def kind(spec: TrialSpec) -> Kind:
    """What decides how long an epoch takes, as far as it matters here."""
    network = spec.model, repr(spec.model_params), spec.image_size, spec.precision
    return spec.dataset, *network, spec.batch_size


def from_finished(done: Sequence[PlannedTrial]) -> Estimate | None:
    """What finished trials of the study took, evenly sampled; None without any."""
    found: defaultdict[Kind, list[Cost]] = defaultdict(list)
    for trial in done[:: max(1, len(done) // SAMPLE)]:
        stored = json.loads((trial.folder / DONE).read_text())
        size = sum(entry.stat().st_size for entry in os.scandir(trial.folder))
        found[kind(trial.spec)].append(Cost(stored["seconds"] / max(1, stored["epochs"]), size))
    if not found:
        return None
    return Estimate({kind: _mean(costs) for kind, costs in found.items()}, f"from {len(done)} finished trials")


def from_timing(planned: Sequence[PlannedTrial], data: Path) -> Estimate:
    """A few training steps of each kind of trial, on this machine, here and now."""
    kinds = {kind(trial.spec): trial.spec for trial in planned}
    timed = track([*kinds.items()][:TIMED], "timing a few steps", total=min(TIMED, len(kinds)))
    costs = {name: _time(spec, data) for name, spec in timed}
    return Estimate(costs, "a quick estimate: a few steps were timed on this machine, as no trial is finished")


def _time(spec: TrialSpec, data: Path) -> Cost:
    inputs = load_inputs(data, spec).trial_data(spec.split)
    trial = Trial(spec, inputs, device="cpu")
    batches = epoch_order(inputs.rows["train"], spec.batch_size, 0, 0)
    trial.step(batches[0])
    begun = time.perf_counter()
    steps = batches[1:4] or batches
    for batch in steps:
        trial.step(batch)
    step = (time.perf_counter() - begun) / len(steps)
    validation = len(inputs.rows["val"]) / spec.batch_size / 3  # a forward pass is a third of a step
    weights = sum(value.nbytes for value in trial.model.state_dict().values())
    history = 4 * (4 + 2 * len(spec.losses)) * len(batches) * spec.epochs
    predictions = len(inputs.rows["test"]) * spec.image_size**2 / 8
    return Cost(step * (len(batches) + validation), weights + history + predictions)


def _mean(costs: list[Cost]) -> Cost:
    return Cost(fmean(cost.epoch_seconds for cost in costs), fmean(cost.disk_bytes for cost in costs))


def spell_seconds(seconds: float) -> str:
    """`01:23:45`, or days where it is more than one."""
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"
