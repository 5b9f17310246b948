"""What one training step of the DMF paper's U-Net asks of a GPU: operations, bytes, kernels. Counted, not timed.

    python -m benchmarks.roofline

Takes a step of the paper's size on the CPU and counts what a GPU would be asked for: floating-point operations of the
convolutions, bytes that each operator reads and writes, and operators that are a kernel (views are not), those of
losses, weighting and recording also by themselves. From published peaks follow lower bounds of a step's time, for the
device and for the host that asks for the kernels one by one, and of the paper's grid. Prints a table and writes
benchmarks/results/roofline.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.graphs import fuse, ready_logits
from benchmarks.packing import DEFAULTS, PAPER, draw, specs
from dmf.losses import fused_pass
from dmf.training.trial import Trial

RESULTS = Path(__file__).parent / "results" / "roofline.json"
GPUS = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12)}
"""Peaks of the data sheets: dense bfloat16 operations and bytes a second."""
SHARE = 0.5
"""Of the peak of operations, what convolutions of this size may hope for."""
LAUNCH = 5e-6
"""Seconds in which a host asks for one kernel, autograd and dispatcher included: a usual figure, not measured here."""
NO_KERNEL = ("view", "expand", "slice", "select", "t.", "transpose", "permute", "detach", "unsqueeze", "squeeze")
NO_KERNEL += ("as_strided", "split", "unbind", "alias", "reshape", "empty", "_unsafe_view")


class Count(TorchDispatchMode):
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


def demand() -> dict[str, float]:
    """Of one step at the paper's size."""
    size = DEFAULTS["cuda"]
    fused_pass.CHUNK = 2**40  # a GPU takes a batch as one chunk
    setting = {**size, "precision": "bf16"}
    trial = Trial(specs(3, setting)[2], draw(4 * size["batch_size"], size["image_size"]))
    rows = trial.data.rows["train"][: size["batch_size"]]
    trial.step(rows)  # the optimiser allocates what it keeps
    flops, count = FlopCounterMode(display=False), Count()
    with flops:
        trial.step(rows)
    with count:
        trial.step(rows)
    trial.training_step.recorder.drain()
    logits, target = ready_logits(trial, rows)
    with Count() as fusing:
        fuse(trial, logits, target)
    return {
        "gflop": flops.get_total_flops() / 1e9,
        "gigabytes": count.bytes / 1e9,
        "kernels": count.kernels,
        "kernels_of_losses_and_weighting": fusing.kernels,
    }


def bounds(step: dict[str, float]) -> list[dict[str, Any]]:
    """Milliseconds of a step and minutes of the paper's grid (its training steps alone), for each GPU."""
    batch = DEFAULTS["cuda"]["batch_size"]
    steps_an_epoch = [-(-int(0.7 * images) // batch) for images in PAPER["images"]]  # type: ignore[attr-defined]
    steps = sum(steps_an_epoch) * PAPER["trainings"] // len(steps_an_epoch) * PAPER["epochs"]  # type: ignore[operator]
    found = []
    for name, (operations, memory) in GPUS.items():
        arithmetic, traffic = step["gflop"] * 1e9 / (SHARE * operations), step["gigabytes"] * 1e9 / memory
        times = {"arithmetic": arithmetic, "memory": traffic, "launches": step["kernels"] * LAUNCH}
        minutes = {f"{key}_minutes": steps * value / 60 for key, value in times.items()}
        found.append({"gpu": name, **{f"{key}_ms": 1000 * value for key, value in times.items()}, **minutes})
    return found


def main() -> None:
    step = demand()
    rows = bounds(step)
    print(
        f"one step: {step['gflop']:.0f} GFLOP, {step['gigabytes']:.2f} GB, {step['kernels']:.0f} kernels, "
        f"{step['kernels_of_losses_and_weighting']:.0f} of them for losses, weighting and recording"
    )
    for row in rows:
        print("  ".join(f"{key} {value:.3g}" if isinstance(value, float) else value for key, value in row.items()))
    assumed = {"share_of_peak": SHARE, "seconds_a_launch": LAUNCH}
    RESULTS.write_text(json.dumps({"step": step, "assumed": assumed, "bounds": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
