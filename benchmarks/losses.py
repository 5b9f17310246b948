"""Six losses in one pass, beside the same losses taken separately from other libraries and cross-entropy alone.

    OMP_NUM_THREADS=2 python -m benchmarks.losses

Milliseconds forward and backward, how many times as long as `cross_entropy` of torch, and the peak of memory beyond the
logits and labels. Rivals take turns; a busy machine still wrongs a pass of many small steps the most.
segmentation-models-pytorch and MONAI stand for five losses (neither has CB-Dice) and are left out where they are not
installed. On a GPU the fused pass stands there a second time, as torch's compiler makes it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

from benchmarks.harness.measure import DEVICE, take_turns
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table, load
from dmf.losses import FusedLosses, build_loss, evaluate
from dmf.losses.fused_pass import plain_statistics

SIX = ("cross_entropy", "iou", "dice", "tversky", "focal", "cb_dice")
ALONE = "cross_entropy alone (torch)"

Total = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    batches: tuple[str, ...] = option(("32x128", "8x256"), "images x side; the first is taken in bfloat16 too")
    classes: tuple[int, ...] = option((2, 4, 8), "of the logits")
    turns: int = option(10, "of each rival")


def rivals(classes: int) -> dict[str, Total]:
    """The sum of the losses, as each library computes it."""
    losses = [build_loss(name, classes) for name in SIX]
    fused = FusedLosses(losses)
    found: dict[str, Total] = {
        ALONE: cross_entropy,
        "six fused": lambda z, t: fused(z, t).sum(),
        "six by autograd, shared counts": lambda z, t: evaluate(losses, z, t, plain_statistics).sum(),
        "six one by one": lambda z, t: torch.stack([loss(z, t) for loss in losses]).sum(),
    }
    if DEVICE.type == "cuda":
        found["six fused, compiled"] = torch.compile(found["six fused"])
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


def step(total: Total, logits: Tensor, target: Tensor) -> None:
    """One forward and backward pass."""
    logits.grad = None
    torch.autograd.backward(total(logits, target))


def peak_megabytes(total: Total, logits: Tensor, target: Tensor) -> float:
    """Most memory held at once during a step, beyond what was held before."""
    logits.grad = None
    if DEVICE.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        torch.autograd.backward(total(logits, target))
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        torch.autograd.backward(total(logits, target))
    held, most = 0, 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most / 2**20


def compare(
    batch: int, side: int, classes: int, layout: torch.memory_format, dtype: torch.dtype, turns: int
) -> dict[str, Any]:
    """Figures of every rival on one batch."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, classes, side, side, generator=generator).to(DEVICE, dtype, memory_format=layout)
    logits.requires_grad_()
    target = torch.randint(0, classes, (batch, side, side), generator=generator).to(DEVICE)
    totals = rivals(classes)
    actions = {name: functools.partial(step, total, logits, target) for name, total in totals.items()}
    times = take_turns(actions, turns, warm_up=3)
    return {
        "batch": f"{batch}x{side}x{side}",
        "classes": classes,
        "logits": f"{str(dtype).removeprefix('torch.')} {str(layout).removeprefix('torch.')}",
        "rivals": {
            name: {
                "milliseconds": round(1000 * taken.best, 3),
                "times cross-entropy": round(taken.times(times[ALONE]), 2),
                "megabytes": round(peak_megabytes(totals[name], logits, target), 1),
            }
            for name, taken in times.items()
        },
    }


def measure(setting: Setting) -> Results:
    batches = [(int(batch), int(side)) for batch, side in (size.split("x") for size in setting.batches)]
    plain = (torch.contiguous_format, torch.float32)
    cases = [(*batch, classes, *plain) for batch in batches for classes in setting.classes]
    cases.append((*batches[0], setting.classes[0], torch.channels_last, torch.bfloat16))
    return {"cases": [compare(*case, setting.turns) for case in cases]}


def tables(results: Results) -> dict[str, Table]:
    names = list(results["cases"][0]["rivals"])
    rows = [
        (
            f"{case['batch']}, {case['classes']} classes, {case['logits'].replace('_format', '').replace('_', ' ')}",
            *(f"{row['milliseconds']:.1f} ({row['times cross-entropy']:.1f})" for row in case["rivals"].values()),
            " / ".join(f"{case['rivals'][name]['megabytes']:.0f}" for name in ("six fused", names[0])),
        )
        for case in results["cases"]
    ]
    table = Table(("logits", *names, f"MB: six fused / {names[0]}"), rows)
    return {f"losses-{results['setting']['device']}": table.noted(load(results))}


main = benchmark("losses", __doc__, Setting, measure, tables, file="losses_{device}")

if __name__ == "__main__":
    main()
