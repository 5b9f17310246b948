"""What the trials that are left will take: from those that are done, or from a quick timing that is said to be one."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from dmf.models import unfetched
from dmf.training.build import build_network
from dmf.training.data import channels_last, count_batches
from dmf.training.precision import bf16_speed, computes_bf16, used_precision
from dmf.training.spec import TrialSpec
from pipelines.artifacts import arrays
from pipelines.artifacts.arrays import PreparedData
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import read_trial

SAMPLE = 200
"""Finished trials that are read; more tell nothing new."""

TIMED = 2
"""Images on which a network is timed where nothing is finished."""

PATIENCE = 0.5
"""Seconds after which no other kind of trial is timed; those that were not count as the mean of those that were."""

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
        record = read_trial(trial.folder)
        size = sum(entry.stat().st_size for entry in os.scandir(trial.folder))
        found[kind(trial.spec)].append(Cost(record.seconds / max(1, record.epochs), size))
    if not found:
        return None
    return Estimate({kind: _mean(costs) for kind, costs in found.items()}, f"from {len(done)} finished trials")


def from_timing(planned: Sequence[PlannedTrial], data: Path, threads: int) -> Estimate:
    """The network of each kind of trial on a few made-up images, on this machine, here and now, as a worker has it."""
    torch.set_num_threads(threads)
    costs: dict[Kind, Cost] = {}
    until = time.perf_counter() + PATIENCE
    for name, spec in {kind(trial.spec): trial.spec for trial in planned}.items():
        costs[name] = _time(spec, arrays.load(data, spec.dataset, spec.image_size))
        if time.perf_counter() > until:
            break
    return Estimate(costs, "a quick estimate: networks were timed on a few images here, as no trial is finished")


def _time(spec: TrialSpec, prepared: PreparedData) -> Cost:
    meta, count = prepared.meta, {side: len(rows) for side, rows in prepared.rows(spec.split).items()}
    fresh = replace(spec, model_params=unfetched(spec.model_params))
    network = build_network(fresh, meta.channels, len(meta.classes))
    images = channels_last(torch.rand(TIMED, meta.channels, *meta.spatial))
    half, passes = used_precision(spec.precision, "cpu") == "bf16", []
    for _ in range(2):  # the first one also allocates
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(images)
        logits.float().square().mean().backward()
        passes.append(time.perf_counter() - begun)
    trained, validated = min(passes) / TIMED, min(passes) / TIMED / 3  # without its gradient, a pass is a third
    weights = sum(value.nbytes for value in network.state_dict().values())
    steps = count_batches(count["train"], spec.batch_size) * spec.epochs
    predictions = count["test"] * spec.image_size**2 / 8
    history = 4 * (4 + 2 * len(spec.losses)) * steps
    return Cost(count["train"] * trained + count["val"] * validated, weights + history + predictions)


def slow_precision(planned: Sequence[PlannedTrial], threads: int) -> str:
    """One sentence where trials that would train on this CPU ask for a bf16 which it does not compute itself."""
    asking = sum(trial.spec.precision == "bf16" for trial in planned)
    if not asking or computes_bf16("cpu"):
        return ""
    torch.set_num_threads(threads)
    times = 1 / bf16_speed("cpu")
    if times <= 1:
        return ""
    return (
        f"warning: {asking} of {len(planned)} trials ask for precision bf16, which this CPU does not compute itself: a "
        f"small network takes {times:.1f} times as long as in fp32 here. `precision: auto` takes what a device has."
    )


def _mean(costs: list[Cost]) -> Cost:
    return Cost(fmean(cost.epoch_seconds for cost in costs), fmean(cost.disk_bytes for cost in costs))


def spell_seconds(seconds: float) -> str:
    """`01:23:45`, or days where it is more than one."""
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"
