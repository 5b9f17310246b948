"""What one training step of the DMF paper's U-Net asks of a GPU: operations, bytes, kernels. Counted, not timed.

    python -m benchmarks.roofline

Takes a step of the paper's size on the CPU and counts what a GPU would be asked for: floating-point operations of the
convolutions, bytes that each operator reads and writes, and operators that are a kernel (views are not), those of
losses, weighting and recording also by themselves. From published peaks follow lower bounds of a step's time, for the
device and for the host that asks for the kernels one by one, and of the paper's grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.graphs import fuse, ready_logits
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table
from benchmarks.harness.trials import DATASETS, EPOCHS, PAPER, TRAININGS, Size, specs
from dmf.losses import fused_pass
from dmf.training.trial import Trial

GPUS = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12)}
"""Peaks of the data sheets: dense bfloat16 operations and bytes a second."""
SHARE = 0.5
"""Of the peak of operations, what convolutions of this size may hope for."""
LAUNCH = 5e-6
"""Seconds in which a host asks for one kernel, autograd and dispatcher included: a usual figure, not measured here."""
NO_KERNEL = (
    *("view", "expand", "slice", "select", "t.", "transpose", "permute", "detach", "unsqueeze", "squeeze"),
    *("as_strided", "split", "unbind", "alias", "reshape", "empty", "_unsafe_view"),
)


@dataclass(frozen=True)
class Setting:
    image_size: int = option(PAPER["image_size"], "side of an image")
    base_filters: int = option(PAPER["base_filters"], "of the U-Net")
    batch_size: int = option(PAPER["batch_size"], "images of a step")


class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operators that are kernels, and the bytes they read and write."""

    kernels = 0
    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if not str(func).removeprefix("aten.").startswith(NO_KERNEL):
            self.kernels += 1
            tensors = [leaf for leaf in tree_leaves((args, kwargs, answer)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return answer


def demand(setting: Setting) -> dict[str, float]:
    """Of one step."""
    size = Size(4 * setting.batch_size, setting.image_size, setting.base_filters, setting.batch_size)
    trial = Trial(specs(3, size)[2], size.data())
    rows = trial.data.rows["train"][: size.batch_size]
    trial.step(rows)  # the optimiser allocates what it keeps
    flops, count = FlopCounterMode(display=False), Count()  # type: ignore[no-untyped-call]
    with flops:
        trial.step(rows)
    trial.training_step.recorder.drain()
    with count:
        trial.step(rows)
    trial.training_step.recorder.drain()
    logits, target = ready_logits(trial, rows)
    with Count() as fusing:  # type: ignore[no-untyped-call]
        fuse(trial, logits, target)
    return {
        "gflop": flops.get_total_flops() / 1e9,
        "gigabytes": count.bytes / 1e9,
        "kernels": count.kernels,
        "kernels_of_losses_and_weighting": fusing.kernels,
    }


def bounds(step: dict[str, float], batch: int) -> list[dict[str, Any]]:
    """Milliseconds of a step and minutes of the paper's grid (its training steps alone), for each GPU."""
    steps_an_epoch = [-(-int(0.7 * images) // batch) for images in DATASETS]
    steps = sum(steps_an_epoch) * TRAININGS // len(DATASETS) * EPOCHS
    found = []
    for name, (operations, memory) in GPUS.items():
        arithmetic, traffic = step["gflop"] * 1e9 / (SHARE * operations), step["gigabytes"] * 1e9 / memory
        times = {"arithmetic": arithmetic, "memory": traffic, "launches": step["kernels"] * LAUNCH}
        minutes = {f"{key}_minutes": steps * value / 60 for key, value in times.items()}
        found.append({"gpu": name, **{f"{key}_ms": 1000 * value for key, value in times.items()}, **minutes})
    return found


def measure(setting: Setting) -> Results:
    chunk, fused_pass.CHUNK = fused_pass.CHUNK, 2**40  # a GPU takes a batch as one chunk
    try:
        step = demand(setting)
    finally:
        fused_pass.CHUNK = chunk
    assumed = {"share_of_peak": SHARE, "seconds_a_launch": LAUNCH}
    return {"step": step, "assumed": assumed, "bounds": bounds(step, setting.batch_size)}


def tables(results: Results) -> dict[str, Table]:
    step, gpus = results["step"], results["bounds"]
    rows = [
        (
            f"bound by {name}",
            *(f"{gpu[f'{name}_ms']:.2f} ms; the grid {gpu[f'{name}_minutes']:.1f} min" for gpu in gpus),
        )
        for name in ("arithmetic", "memory", "launches")
    ]
    asked = f"a step: {step['gflop']:.0f} GFLOP, {step['gigabytes']:.1f} GB, {step['kernels']:.0f} kernels"
    kernels = f"kernels of losses, weighting and recording: {step['kernels_of_losses_and_weighting']:.0f}"
    return {"roofline": Table((asked, *(gpu["gpu"] for gpu in gpus)), [(kernels, *[""] * len(gpus)), *rows])}


main = benchmark("roofline", __doc__, Setting, measure, tables)

if __name__ == "__main__":
    main()
