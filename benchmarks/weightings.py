"""What a weighting step costs: by history length, early and late in a run, and beside a training step of the U-Net.

    python -m benchmarks.weightings

A step is `combine` of three losses that require a gradient, its backward pass not included; TorchJD's DWA answers with
the same scalar, and "mean" is no weighting at all. Rivals take turns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchjd.scalarization import DWA

from benchmarks.harness.measure import DEVICE, Action, take_turns
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table, plainly
from dmf.fusion import DynamicMemoryFusion
from dmf.models import build_model
from dmf.weightings import WEIGHTINGS, Weighting, build_weighting

BY_HISTORY = ("variance", "mad", "bayesian")


@dataclass(frozen=True)
class Setting:
    lengths: tuple[int, ...] = option((50, 150, 1500, 15000), "of a full memory")
    early: int = option(10, "steps into a run")
    late: int = option(100_000, "steps into a run")
    batch: int = option(16, "images of a step of the U-Net")
    side: int = option(128, "of an image")
    turns: int = option(15, "of each rival")
    calls: int = option(60, "in a turn")


def three_losses() -> Tensor:
    return torch.tensor([0.7, 0.6, 0.5], device=DEVICE, requires_grad=True)


def step_of(weighting: Weighting) -> Action:
    losses = three_losses()
    return lambda: weighting.combine(losses).total


def by_history_length(setting: Setting) -> list[dict[str, Any]]:
    """A step of each weighting, with a full memory of some length where it has one."""
    rivals: dict[tuple[str, int | None], Action] = {}
    for name in WEIGHTINGS:
        for length in setting.lengths if name in BY_HISTORY else (None,):
            params: dict[str, Any] = {"history_size": 10, "history_size_max": length} if length else {}
            weighting = build_weighting(name, 3, **params).to(DEVICE)
            if length:
                weighting.get_buffer("memory.values").uniform_()
            rivals[name, length] = step_of(weighting)
    losses, dwa = three_losses(), DWA()
    rivals["TorchJD DWA", None] = lambda: dwa(losses)
    rivals["mean", None] = losses.mean
    times = take_turns(rivals, setting.turns, calls=setting.calls)
    return [
        {"weighting": name, "length": length, "microseconds": 1e6 * spent.best}
        for (name, length), spent in times.items()
    ]


def early_and_late(setting: Setting) -> list[dict[str, Any]]:
    """The same run at an early and at a late step, in microseconds, and the bytes it keeps."""
    rows = []
    for name in BY_HISTORY:
        early, late = (build_weighting(name, 3).to(DEVICE) for _ in range(2))
        for weighting, steps in ((early, setting.early), (late, setting.late)):
            for _ in range(steps):
                weighting(three_losses().detach())
        times = take_turns({"early": step_of(early), "late": step_of(late)}, setting.turns)
        spent = {when: 1e6 * taken.best for when, taken in times.items()}
        size = max(sum(value.nbytes for value in run.state_dict().values()) for run in (early, late))
        rows.append({"weighting": name, **spent, "ratio": times["late"].times(times["early"]), "bytes": size})
    return rows


def share_of_training(setting: Setting) -> list[dict[str, Any]]:
    """A training step of the paper's U-Net with the paper's losses, and the weighting's part of it."""
    torch.manual_seed(0)
    model = build_model("unet", 1, 2, image_size=setting.side).to(DEVICE).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    images = torch.rand(setting.batch, 1, setting.side, setting.side, device=DEVICE)
    target = (images[:, 0] > 0.5).long()
    fusions = {
        name: DynamicMemoryFusion(["cross_entropy", "iou", "dice"], name, "cb_dice").to(DEVICE) for name in BY_HISTORY
    }

    def train(fusion: DynamicMemoryFusion) -> None:
        optimizer.zero_grad()
        fusion(model(images), target).total.backward()
        optimizer.step()

    steps: dict[str, Callable[[], None]] = {name: functools.partial(train, fusions[name]) for name in fusions}
    whole = take_turns(steps, min(4, setting.turns))
    part = take_turns({name: step_of(fusions[name].weighting) for name in fusions}, setting.turns, calls=setting.calls)
    return [
        {
            "weighting": name,
            "milliseconds": 1e3 * whole[name].best,
            "microseconds": 1e6 * part[name].best,
            "share": part[name].best / whole[name].best,
        }
        for name in fusions
    ]


def measure(setting: Setting) -> Results:
    return {
        "by_history_length": by_history_length(setting),
        "early_and_late": early_and_late(setting),
        "share_of_a_unet_step": share_of_training(setting),
    }


def tables(results: Results) -> dict[str, Table]:
    share = {row["weighting"]: f"{row['share']:.2%}" for row in results["share_of_a_unet_step"]}
    spent: dict[str, dict[str, str]] = {}
    for row in results["by_history_length"]:
        spent.setdefault(row["weighting"], {})[str(row["length"] or "no history")] = f"{row['microseconds']:.0f}"
    lengths = list(dict.fromkeys(length for row in spent.values() for length in row))
    rows = [(name, *(row.get(length, "") for length in lengths), share.get(name, "")) for name, row in spent.items()]
    return plainly(results) | {"weightings": Table(("µs a step of", *lengths, "of the U-Net's step"), rows)}


main = benchmark("weightings", __doc__, Setting, measure, tables)

if __name__ == "__main__":
    main()
