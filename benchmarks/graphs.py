"""A training step one operator at a time, compiled, and as one CUDA graph; and what losses and weighting take of it.

    python -m benchmarks.graphs

The DMF paper's U-Net and losses under each of its weightings, with CB-Dice. A step is all that an epoch does for a
batch: gather it, network, losses, weighting, gradients, optimiser, recording. Beside it stand losses and weighting
alone: forward, backward and recording, on logits that lie ready. "fusion compiled" is `torch.compile` of
`DynamicMemoryFusion`; "until it runs" is what the first steps take, in which compiler, libraries and capture do their
work. All ways take turns, each of an epoch's steps. Without a GPU there are no graphs, and images and network are
smaller. Needs torch, numpy and jaxtyping only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.harness.measure import DEVICE, Action, seconds, take_turns
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table, load
from benchmarks.harness.trials import CONFIGURATIONS, Size, quiet, specs
from dmf.training.data import TrialData
from dmf.training.graphs import ReplayedStep, Step
from dmf.training.seeding import reproducible
from dmf.training.trial import Trial

WEIGHTINGS = ("variance", "mad", "bayesian")
WARM_UP = 3


@dataclass(frozen=True)
class Setting(Size):
    weightings: tuple[str, ...] = option(WEIGHTINGS, "of the paper")
    turns: int = option(10, "of each way")


@dataclass(frozen=True)
class Way:
    """How a step is taken."""

    name: str
    compiled: bool
    graph: bool


WAYS = {
    "cpu": [Way("operators", False, False), Way("fusion compiled", True, False)],
    "cuda": [
        Way("operators", False, False),
        Way("one CUDA graph", False, True),
        Way("one CUDA graph, fusion compiled", True, True),
    ],
}


class Rival:
    """A trial whose steps are taken in one way.

    Attributes:
        step, part: An epoch's steps, and as many times losses and weighting alone.
        until_it_runs: Seconds of the first steps.
    """

    def __init__(self, weighting: str, way: Way, data: TrialData, size: Size) -> None:
        chosen = {"weighting": weighting, "auxiliary": "cb_dice"}
        spec = specs(len(CONFIGURATIONS), size)[CONFIGURATIONS.index(chosen)]
        self.way = way
        self.trial = Trial(spec, data, device=DEVICE)
        self.trial.model.train()
        if way.compiled:
            self.trial.fusion.compile()
        self.rows = self.trial.data.rows["train"][: size.batch_size]
        self.logits, self.target = ready_logits(self.trial, self.rows)
        self._step = self._taken(self.trial.step, lambda: self.trial.training_step.tensors)
        recorder = self.trial.training_step.recorder
        self._part = self._taken(self._fuse, lambda: [*self.trial.fusion.buffers(), *recorder.tensors])
        self.until_it_runs = seconds(lambda: self._run(self._step, WARM_UP))
        self._run(self._part, WARM_UP)
        number = self.trial.steps_per_epoch
        self.step: Action = functools.partial(self._run, self._step, number)
        self.part: Action = functools.partial(self._run, self._part, number)

    @property
    def graphs(self) -> int:
        """How many graphs were captured and are trusted: 2 where they were asked for."""
        return sum(step.captured for step in (self._step, self._part) if isinstance(step, ReplayedStep))

    def _taken(self, step: Step, tensors: Callable[[], list[torch.Tensor]]) -> Step:
        return ReplayedStep(step, tensors) if self.way.graph else step

    def _fuse(self, rows: torch.Tensor) -> None:
        self.logits.grad = None
        fuse(self.trial, self.logits, self.target)

    def _run(self, step: Step, number: int) -> None:
        with self.trial.on_stream(join=True), reproducible(0):
            for _ in range(number):
                step(self.rows)
            self.trial.training_step.recorder.drain()


def ready_logits(trial: Trial, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network says of a batch, cut off from it, and the labels."""
    images, target = trial.batch(rows)
    return trial.training_step.logits(images).detach().requires_grad_(), target.long()


def fuse(trial: Trial, logits: torch.Tensor, target: torch.Tensor) -> None:
    """Losses and weighting of a batch, their gradient, the record."""
    out = trial.fusion(logits, target)
    out.total.backward()
    trial.training_step.recorder.record(out)


def compare(weighting: str, data: TrialData, setting: Setting) -> list[dict[str, Any]]:
    """A row for each way."""
    rivals = [Rival(weighting, way, data, setting) for way in WAYS[DEVICE.type]]
    actions = {f"{kind}, {rival.way.name}": getattr(rival, kind) for rival in rivals for kind in ("step", "part")}
    times = take_turns(actions, setting.turns, warm_up=0)
    rows = []
    for rival in rivals:
        step, part = (times[f"{kind}, {rival.way.name}"] for kind in ("step", "part"))
        rows.append(
            {
                "weighting": weighting,
                "way": rival.way.name,
                "step_ms": 1000 * step.best / rival.trial.steps_per_epoch,
                "losses_and_weighting_ms": 1000 * part.best / rival.trial.steps_per_epoch,
                "share": part.times(step),
                "until_it_runs_s": rival.until_it_runs,
                "graphs": rival.graphs,
            }
        )
    return rows


@quiet()
def measure(setting: Setting) -> Results:
    data = setting.data()
    return {"rows": [row for weighting in setting.weightings for row in compare(weighting, data, setting)]}


def tables(results: Results) -> dict[str, Table]:
    columns = (
        "weighting: {weighting} | a step, taken: {way} | ms: {step_ms:.2f}"
        " | losses and weighting, ms: {losses_and_weighting_ms:.2f} | share: {share:.1%}"
        " | s until it runs: {until_it_runs_s:.1f}"
    )
    size = results["setting"]
    note = f"{size['image_size']} pixels, {size['base_filters']} filters, batches of {size['batch_size']}"
    machine = f"{results['machine']['device']}; {load(results)}"
    return {f"graphs-{size['device']}": Table.of(results["rows"], columns).noted(note, machine)}


main = benchmark("graphs", __doc__, Setting, measure, tables, file="graphs_{device}")

if __name__ == "__main__":
    main()
