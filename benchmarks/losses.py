"""Six losses in one pass, beside the same losses taken separately from other libraries and cross-entropy alone.

    OMP_NUM_THREADS=2 python -m benchmarks.losses

Prints one table and writes benchmarks/results/losses.json: milliseconds forward and backward, how many times as long
as `cross_entropy` of torch, and the peak of memory beyond the logits and labels. Rivals take turns, so that whatever
else the machine does slows all of them; the best turn counts. A busy machine
still wrongs a pass of many small steps the most, so its load is written beside the figures. segmentation-models-pytorch
and MONAI stand for five losses (neither has CB-Dice) and are left out where they are not installed. The GPU is used
where there is one.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

from benchmarks.device import wait_for_device
from dmf.losses import FusedLosses, build_loss, evaluate
from dmf.losses.fused_pass import plain_statistics

RESULTS = Path(__file__).parent / "results" / "losses.json"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIX = ("cross_entropy", "iou", "dice", "tversky", "focal", "cb_dice")
SIZES = ((32, 128), (8, 256))
CLASSES = (2, 4, 8)
TURNS = 10

Total = Callable[[Tensor, Tensor], Tensor]


def rivals(classes: int) -> dict[str, Total]:
    """The sum of the losses, as each library computes it."""
    losses = [build_loss(name, classes) for name in SIX]
    fused = FusedLosses(losses)
    found: dict[str, Total] = {
        "cross_entropy alone (torch)": cross_entropy,
        "six fused": lambda z, t: fused(z, t).sum(),
        "six by autograd, shared counts": lambda z, t: evaluate(losses, z, t, plain_statistics).sum(),
        "six one by one": lambda z, t: torch.stack([loss(z, t) for loss in losses]).sum(),
    }
    return found | separate_smp() | separate_monai()


def separate_smp() -> dict[str, Total]:
    """Five losses of segmentation-models-pytorch, if it is there."""
    try:
        smp = importlib.import_module("segmentation_models_pytorch.losses")
    except ImportError:
        return {}
    kinds = (smp.JaccardLoss, smp.DiceLoss, smp.TverskyLoss, smp.FocalLoss)
    losses = [smp.SoftCrossEntropyLoss(smooth_factor=0.0), *(kind("multiclass") for kind in kinds)]
    return {"five separate (smp)": lambda z, t: torch.stack([loss(z, t) for loss in losses]).sum()}


def separate_monai() -> dict[str, Total]:
    """Four losses of MONAI beside torch's cross-entropy, if it is there."""
    try:
        monai = importlib.import_module("monai.losses")
    except ImportError:
        return {}
    shared = {"softmax": True, "to_onehot_y": True, "batch": True}
    losses = [
        monai.DiceLoss(**shared),
        monai.DiceLoss(**shared, jaccard=True),
        monai.TverskyLoss(**shared),
        monai.FocalLoss(use_softmax=True, to_onehot_y=True),
    ]
    return {
        "five separate (MONAI)": lambda z, t: (
            torch.stack([loss(z, t.unsqueeze(1)) for loss in losses]).sum() + cross_entropy(z, t)
        )
    }


def step(total: Total, logits: Tensor, target: Tensor) -> float:
    """Milliseconds of one forward and backward pass."""
    logits.grad = None
    wait_for_device()
    start = time.perf_counter()
    total(logits, target).backward()
    wait_for_device()
    return 1000 * (time.perf_counter() - start)


def peak_megabytes(total: Total, logits: Tensor, target: Tensor) -> float:
    """Most memory held at once during a step, beyond what was held before."""
    logits.grad = None
    if DEVICE.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        total(logits, target).backward()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        total(logits, target).backward()
    held, most = 0, 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most / 2**20


def compare(batch: int, side: int, classes: int, layout: torch.memory_format, dtype: torch.dtype) -> dict[str, object]:
    """One row for every rival on one batch."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, classes, side, side, generator=generator).to(DEVICE, dtype, memory_format=layout)
    logits.requires_grad_()
    target = torch.randint(0, classes, (batch, side, side), generator=generator).to(DEVICE)
    totals = rivals(classes)
    times = {name: min(step(total, logits, target) for _ in range(3)) for name, total in totals.items()}
    for _ in range(TURNS):
        for name, total in totals.items():
            times[name] = min(times[name], step(total, logits, target))
    alone = times["cross_entropy alone (torch)"]
    return {
        "batch": f"{batch}x{side}x{side}",
        "classes": classes,
        "logits": f"{str(dtype).removeprefix('torch.')} {str(layout).removeprefix('torch.')}",
        "rivals": {
            name: {
                "milliseconds": round(taken, 3),
                "times cross-entropy": round(taken / alone, 2),
                "megabytes": round(peak_megabytes(totals[name], logits, target), 1),
            }
            for name, taken in times.items()
        },
    }


def main() -> None:
    """Measures, prints, writes."""
    plain = (torch.contiguous_format, torch.float32)
    cases = [(batch, side, classes, *plain) for batch, side in SIZES for classes in CLASSES]
    cases.append((*SIZES[0], 2, torch.channels_last, torch.bfloat16))
    rows = []
    print(f"{'batch':12} {'C':>2} {'logits':28} {'':32} {'ms':>8} {'x CE':>6} {'MB':>7}")
    for case in cases:
        row = compare(*case)
        rows.append(row)
        for name, figures in row["rivals"].items():  # type: ignore[attr-defined]
            ms, ratio, megabytes = figures.values()
            head = f"{row['batch']:12} {row['classes']:2} {row['logits']:28}"
            print(f"{head} {name:32} {ms:8.2f} {ratio:6.2f} {megabytes:7.1f}")
    machine = {
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "cases": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
