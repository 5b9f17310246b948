"""Several trials on one device at a time, for networks that leave most of it idle."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dmf.checks import require, require_at_least
from dmf.training.data import TrialData
from dmf.training.loading import build_loader
from dmf.training.results import EpochReport, TrialResult
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial

SHARED = ("dataset", "filtered", "split", "image_size")
"""Fields that decide which images a trial sees: the trials of a pack have them in common."""


class PackedTrials:
    """Trials of any losses, weightings, seeds and networks that train on the same images, side by side.

        pack = PackedTrials(specs, data, device="cuda")
        while not pack.done:
            reports = pack.epoch()
        results = pack.finish()

    Every trial keeps its own network, optimiser and memory and takes exactly the steps that it would take alone, so
    that its results are the same bit for bit on a CPU, and on a GPU as far as its kernels are deterministic. The images
    lie on the device once. On a GPU each trial works on a stream of its own: all are given their epoch before the first
    is waited for, so that the device always has several small networks to choose from, and each step is one CUDA graph
    (`dmf.training.graphs`). A CPU trains them one after the other, which saves no time. docs/performance.md has the
    reasons and the figures.

    Args:
        specs: At least one; all in one group of `packable`.
        data: What they train on.
        device: Where.

    Attributes:
        trials: In the order of `specs`; each can be saved and resumed by its own `state_dict`.

    Raises:
        ValueError: if the specs do not fit into one pack, naming the field.
    """

    def __init__(self, specs: Sequence[TrialSpec], data: TrialData, *, device: str | torch.device = "cpu") -> None:
        for spec in specs:
            if reason := obstacle(specs[0], spec):
                raise ValueError(f"The trials of a pack must train on the same images. Found {reason}.")
        require(bool(specs), "specs", specs, "those of at least one trial")
        shared = build_loader(data, torch.device(device)).data
        self.trials = [Trial(spec, shared, device=device) for spec in specs]
        self._errors: dict[int, Exception] = {}

    @property
    def done(self) -> bool:
        """Whether every trial has trained all its epochs or cannot go on."""
        return all(trial.done or index in self._errors for index, trial in enumerate(self.trials))

    def epoch(self) -> list[EpochReport | Exception | None]:
        """One epoch of each trial that is not done.

        Returns:
            For each trial its report, None if it was done before, or what keeps it from going on: the error of one
            trial leaves the others alone.
        """
        going = [i for i, trial in enumerate(self.trials) if not trial.done and i not in self._errors]
        reports = dict(zip(going, train_epoch([self.trials[i] for i in going]), strict=True))
        self._errors.update((i, report) for i, report in reports.items() if isinstance(report, Exception))
        return [self._errors.get(i, reports.get(i)) for i in range(len(self.trials))]

    def finish(self) -> list[TrialResult | Exception]:
        """The result of each trial, or what kept it from one. Call it once, when `done`."""
        return [self._errors[i] if i in self._errors else trial.finish() for i, trial in enumerate(self.trials)]


def train_epoch(trials: Sequence[Trial]) -> list[EpochReport | Exception]:
    """One epoch of each trial; an exception in one is its report and leaves the others alone.

    A GPU works on all of them at once; a CPU on one after the other.
    """
    reports: dict[int, EpochReport | Exception] = {}
    for action in (Trial.launch_epoch, Trial.close_epoch):
        for index, trial in enumerate(trials):
            if not isinstance(reports.get(index), Exception):
                try:
                    reports[index] = action(trial)  # type: ignore[assignment]
                except Exception as error:
                    reports[index] = error
    return [reports[index] for index in range(len(trials))]


def packable(specs: Sequence[TrialSpec], size: int) -> list[list[int]]:
    """Which trials go into packs together: those of a pack train on the same images, all else may differ.

    Args:
        specs: Trials in the order in which they should be trained.
        size: Trials in a pack, at most.

    Returns:
        Packs of indices into `specs`, by their first trial in the given order; `obstacle` says why two are apart.
    """
    require_at_least(1, "trial", size=size)
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, spec in enumerate(specs):
        groups.setdefault(images_of(spec), []).append(index)
    packs = [group[first : first + size] for group in groups.values() for first in range(0, len(group), size)]
    return sorted(packs, key=lambda pack: pack[0])


def obstacle(one: TrialSpec, other: TrialSpec) -> str:
    """What keeps two trials from one pack, in words; empty if nothing does."""
    pairs = zip(SHARED, images_of(one), images_of(other), strict=True)
    return ", ".join(f"`{name}` {a!r} and {b!r}" for name, a, b in pairs if a != b)


def images_of(spec: TrialSpec) -> tuple[object, ...]:
    """What decides which images a trial sees: the values of `SHARED`."""
    return tuple(getattr(spec, name) for name in SHARED)
