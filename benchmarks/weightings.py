"""What a weighting step costs: by history length, early and late in a run, and beside a training step of the U-Net.

    python -m benchmarks.weightings

Prints three tables and writes benchmarks/results/weightings.json. A step is `combine` of three losses that require a
gradient, its backward pass not included; TorchJD's DWA answers with the same scalar, and "mean" is no weighting at
all. Rivals take turns, so that whatever else the machine does slows all of them. The GPU is used where there is one.
"""

from __future__ import annotations

import functools
import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchjd.scalarization import DWA

from benchmarks.device import wait_for_device
from dmf.fusion import DynamicMemoryFusion
from dmf.models import build_model
from dmf.weightings import WEIGHTINGS, Weighting, build_weighting

RESULTS = Path(__file__).parent / "results" / "weightings.json"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
LENGTHS = (50, 150, 1500, 15000)
BY_HISTORY = ("variance", "mad", "bayesian")
EARLY, LATE = 10, 100_000
TURNS, CALLS = 15, 60
BATCH, SIDE = 16, 128


def best_of_turns(rivals: Mapping[str, Callable[[], object]], calls: int, turns: int = TURNS) -> dict[str, float]:
    """Microseconds a call of each, the best of several turns."""
    best = dict.fromkeys(rivals, float("inf"))
    for _ in range(turns):
        for name, run in rivals.items():
            wait_for_device()
            start = time.perf_counter()
            for _ in range(calls):
                run()
            wait_for_device()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - start) / calls)
    return best


def three_losses() -> Tensor:
    return torch.tensor([0.7, 0.6, 0.5], device=DEVICE, requires_grad=True)


def step_of(weighting: Weighting) -> Callable[[], object]:
    losses = three_losses()
    return lambda: weighting.combine(losses).total


def by_history_length() -> list[dict[str, Any]]:
    """A step of each weighting, with a full memory of some length where it has one."""
    rivals: dict[str, Callable[[], object]] = {}
    for name in WEIGHTINGS:
        for length in LENGTHS if name in BY_HISTORY else (0,):
            params = {"history_size": 10, "history_size_max": length} if length else {}
            weighting = build_weighting(name, 3, **params).to(DEVICE)
            if length:
                weighting.memory.values.uniform_()
            rivals[f"{name} {length}" if length else name] = step_of(weighting)
    losses, dwa = three_losses(), DWA()
    rivals["TorchJD DWA"] = lambda: dwa(losses)
    rivals["mean"] = lambda: losses.mean()
    times = best_of_turns(rivals, CALLS)
    return [{"weighting": name, "microseconds": spent} for name, spent in times.items()]


def early_and_late() -> list[dict[str, Any]]:
    """The same run at its 10th and its 100,000th step, and the bytes it keeps."""
    rows = []
    for name in BY_HISTORY:
        early, late = (build_weighting(name, 3).to(DEVICE) for _ in range(2))
        for weighting, steps in ((early, EARLY), (late, LATE)):
            for _ in range(steps):
                weighting(three_losses().detach())
        times = best_of_turns({"early": step_of(early), "late": step_of(late)}, 1)
        sizes = {sum(value.nbytes for value in run.state_dict().values()) for run in (early, late)}
        rows.append({"weighting": name, **times, "ratio": times["late"] / times["early"], "bytes": max(sizes)})
    return rows


def share_of_training() -> list[dict[str, Any]]:
    """A training step of the paper's U-Net with the paper's losses, and the weighting's part of it."""
    torch.manual_seed(0)
    model = build_model("unet", 1, 2, image_size=SIDE).to(DEVICE, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    images = torch.rand(BATCH, 1, SIDE, SIDE, device=DEVICE)
    target = (images[:, 0] > 0.5).long()
    fusions = {
        name: DynamicMemoryFusion(["cross_entropy", "iou", "dice"], name, "cb_dice").to(DEVICE) for name in BY_HISTORY
    }

    def train(fusion: DynamicMemoryFusion) -> None:
        optimizer.zero_grad()
        fusion(model(images), target).total.backward()
        optimizer.step()

    train(fusions["variance"])
    whole = best_of_turns({name: functools.partial(train, fusion) for name, fusion in fusions.items()}, 1, turns=4)
    part = best_of_turns({name: step_of(fusion.weighting) for name, fusion in fusions.items()}, CALLS)
    return [
        {
            "weighting": name,
            "milliseconds": whole[name] / 1000,
            "microseconds": part[name],
            "share": part[name] / whole[name],
        }
        for name in fusions
    ]


def print_table(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    print("  ".join(f"{column:>16}" for column in rows[0]))
    for row in rows:
        print("  ".join(f"{value:16.5g}" if isinstance(value, float) else f"{value!s:>16}" for value in row.values()))


def main() -> None:
    tables = {
        "by_history_length": by_history_length(),
        f"step_{EARLY}_and_{LATE}": early_and_late(),
        f"share_of_a_unet_step_at_{BATCH}x{SIDE}x{SIDE}": share_of_training(),
    }
    for title, rows in tables.items():
        print_table(title.replace("_", " "), rows)
    device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else platform.machine()
    machine = {"device": device, "threads": torch.get_num_threads(), "torch": torch.__version__}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, **tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
