"""A training step one operator at a time, compiled, and as one CUDA graph; and what losses and weighting take of it.

    python -m benchmarks.graphs          # on the GPU if there is one; needs torch, numpy and jaxtyping only

The DMF paper's U-Net and losses under each of its weightings, with CB-Dice. A step is all that an epoch does for a
batch: gather it, network, losses, weighting, gradients, optimiser, recording. Beside it stand losses and weighting
alone: forward, backward and recording, on logits that lie ready. "fusion compiled" is `torch.compile` of
`DynamicMemoryFusion`; "until it runs" is what the first steps take, in which compiler, libraries and capture do their
work. All ways take turns and the best turn counts. Without a GPU there are no graphs, and images and network are
smaller. Prints a table and writes benchmarks/results/graphs_<device>.json.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.device import describe_machine, wait_for_device
from benchmarks.packing import CONFIGURATIONS, DEFAULTS, Setting, draw, specs
from dmf.training.data import TrialData
from dmf.training.graphs import ReplayedStep, Step
from dmf.training.seeding import reproducible
from dmf.training.trial import Trial

RESULTS = Path(__file__).parent / "results"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WEIGHTINGS = ("variance", "mad", "bayesian")
WARM_UP, TURNS = 3, 10


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
    """A trial whose steps are taken in one way."""

    def __init__(self, weighting: str, way: Way, data: TrialData, setting: Setting) -> None:
        chosen = {"weighting": weighting, "auxiliary": "cb_dice"}
        spec = specs(len(CONFIGURATIONS), setting)[CONFIGURATIONS.index(chosen)]
        self.way = way
        self.trial = Trial(spec, data, device=setting["device"])
        self.trial.model.train()
        if way.compiled:
            self.trial.fusion.compile()
        self.rows = self.trial.data.rows["train"][: setting["batch_size"]]
        self.logits, self.target = ready_logits(self.trial, self.rows)
        self._step = self._taken(self.trial.step, lambda: self.trial.training_step.tensors)
        recorder = self.trial.training_step.recorder
        self._part = self._taken(self._fuse, lambda: [*self.trial.fusion.buffers(), *recorder.tensors])
        self.until_it_runs = self._seconds(self._step, WARM_UP)
        self._seconds(self._part, WARM_UP)
        self.step = self.part = float("inf")

    def turn(self) -> None:
        """Measure once more, in milliseconds."""
        number = self.trial.steps_per_epoch
        self.step = min(self.step, 1000 * self._seconds(self._step, number) / number)
        self.part = min(self.part, 1000 * self._seconds(self._part, number) / number)

    @property
    def graphs(self) -> int:
        """How many graphs were captured and are trusted: 2 where they were asked for."""
        return sum(step.captured for step in (self._step, self._part) if isinstance(step, ReplayedStep))

    def _taken(self, step: Step, tensors: Callable[[], list[torch.Tensor]]) -> Step:
        return ReplayedStep(step, tensors) if self.way.graph else step

    def _fuse(self, rows: torch.Tensor) -> None:
        self.logits.grad = None
        fuse(self.trial, self.logits, self.target)

    def _seconds(self, step: Step, number: int) -> float:
        with self.trial.on_stream(join=True), reproducible(0):
            wait_for_device()
            started = time.perf_counter()
            for _ in range(number):
                step(self.rows)
            wait_for_device()
            spent = time.perf_counter() - started
            self.trial.training_step.recorder.drain()
        return spent


def ready_logits(trial: Trial, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network says of a batch, cut off from it, and the labels."""
    images, target = trial.batch(rows)
    return trial.training_step.logits(images).detach().requires_grad_(), target.long()


def fuse(trial: Trial, logits: torch.Tensor, target: torch.Tensor) -> None:
    """Losses and weighting of a batch, their gradient, the record."""
    out = trial.fusion(logits, target)
    out.total.backward()
    trial.training_step.recorder.record(out)


def compare(setting: Setting, turns: int = TURNS) -> list[dict[str, Any]]:
    """A row for each weighting and way."""
    data = draw(setting["images"], setting["image_size"])
    found = []
    for weighting in WEIGHTINGS:
        rivals = [Rival(weighting, way, data, setting) for way in WAYS[setting["device"]]]
        for _ in range(turns):
            for rival in rivals:
                rival.turn()
        found += [
            {
                "weighting": weighting,
                "way": rival.way.name,
                "step_ms": rival.step,
                "losses_and_weighting_ms": rival.part,
                "share": rival.part / rival.step,
                "until_it_runs_s": rival.until_it_runs,
                "graphs": rival.graphs,
            }
            for rival in rivals
        ]
    return found


def main() -> None:
    logging.disable(logging.WARNING)  # what diagnostics find in drawn images is of no interest
    setting = {"device": DEVICE, "precision": "bf16", **DEFAULTS[DEVICE]}
    rows = compare(setting)
    print(
        f"{'weighting':10} {'way':32} {'step ms':>8} {'losses, weighting ms':>21} {'share':>7} {'until it runs s':>16}"
    )
    for row in rows:
        print(
            f"{row['weighting']:10} {row['way']:32} {row['step_ms']:8.3f} {row['losses_and_weighting_ms']:21.3f} "
            f"{row['share']:7.2%} {row['until_it_runs_s']:16.1f}"
        )
    machine = describe_machine(DEVICE) | {"threads": torch.get_num_threads()}
    answer = {"machine": machine, "setting": setting, "rows": rows}
    (RESULTS / f"graphs_{DEVICE}.json").write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
