"""What the architectures cost: parameters, operations, and time of a training step, at the size of the RFE U-Net paper.

    python -m benchmarks.models

Writes benchmarks/results/models.json and the tables of docs/models.md. Operations are counted by torch's flop counter
on one image of 3 x 256 x 256 and given as multiply-adds; a FLOP count is twice that. A step is forward, backward
and Adam on two images; models take turns, the best turn counts. The GPU is used where there is one.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.audit.tables import Table, insert
from benchmarks.device import wait_for_device
from dmf.models import build_model
from pipelines.core.console import say, track
from pipelines.core.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "models.json"
DOCUMENT = ROOT / "docs" / "models.md"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCH, TURNS = 2, 2
IMAGE = (3, 256, 256)


@dataclass(frozen=True)
class Subject:
    """A model under measurement, the shape of its input, and the name of its row in the paper's table 7, if any."""

    name: str
    shape: tuple[int, ...] = IMAGE
    printed_as: str | None = None
    params: dict[str, Any] = field(default_factory=dict)

    def build(self, classes: int = 2) -> nn.Module:
        return build_model(self.name, self.shape[0], classes, image_size=self.shape[-1], **self.params)


SUBJECTS = (
    Subject("unet"),
    Subject("unet_classic", printed_as="unet"),
    Subject("attention_unet", printed_as="attention_unet"),
    Subject("transunet", printed_as="transunet"),
    Subject("swin_unet", printed_as="swin_unet"),
    Subject("rfe_unet:resnet34", printed_as="rfe_unet_resnet34"),
    Subject("rfe_unet:resnet50", printed_as="rfe_unet_resnet50"),
    Subject("rfe_unet:resnet101", printed_as="rfe_unet_resnet101"),
    Subject("smp:unet/resnet50"),
    Subject("unet3d", (3, 32, 64, 64)),
    Subject("unet_classifier"),
    Subject("small_cnn"),
    Subject("timm:vgg16"),
)


@dataclass(frozen=True)
class Count:
    """Parameters, and multiply-adds of one image in billions, whole and in parts that counters treat differently.

    Attributes:
        attention: products of queries with keys, and of attention with values.
        standardised: convolutions with standardised weights, which are of a class of their own.
        transposed: what a counter adds that charges a transposed convolution its whole kernel for every output.
        elementwise: 4 operations for each value that a batch norm puts out: bias, scale, shift, activation.
    """

    parameters: int
    total: float
    attention: float
    standardised: float
    transposed: float
    elementwise: float


def count(subject: Subject, classes: int = 2) -> Count:
    """Count on the meta device, where there are shapes and no values."""
    extra = {"standardised": 0, "transposed": 0, "elementwise": 0}

    def observe(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d):
            whole = output.numel() * module.in_channels * module.weight[0, 0].numel()
            extra["transposed"] += whole - whole // int(torch.tensor(module.stride, device="cpu").prod())
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            extra["elementwise"] += 4 * output.numel()
        elif type(module).__name__.startswith("StdConv2d"):
            extra["standardised"] += output.numel() * module.weight[0].numel()

    with torch.device("meta"):
        model = subject.build(classes).eval()
        for module in model.modules():
            module.register_forward_hook(observe)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.empty(1, *subject.shape))
    by_operation = {str(operation): flops for operation, flops in counter.get_flop_counts()["Global"].items()}
    attention = sum(by_operation.get(name, 0) for name in ("aten.bmm", "aten.baddbmm"))
    return Count(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        total=counter.get_total_flops() / 2e9,
        attention=attention / 2e9,
        **{name: value / 1e9 for name, value in extra.items()},
    )


def _conventional(subject: Subject) -> float:
    cost = count(subject, classes=1)
    return cost.total + cost.transposed + cost.elementwise


def _transunet_at_224(subject: Subject) -> float:
    cost = count(Subject(subject.name, (3, 224, 224)), classes=1)
    return cost.total - cost.standardised - cost.attention + cost.elementwise


def _swin_b_at_224(subject: Subject) -> float:
    layout = {"dim": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)}
    cost = count(Subject(subject.name, (3, 224, 224), params=layout), classes=1)
    return cost.total - cost.attention


def _plain(subject: Subject) -> float:
    return count(subject).total


READINGS: dict[str, tuple[str, Callable[[Subject], float]]] = {
    "unet_classic": (
        "one class; each transposed convolution charged its whole kernel for every output, four times what it does; "
        "bias, norm and activation counted",
        _conventional,
    ),
    "attention_unet": ("one class; bias, norm and activation counted", _conventional),
    "transunet": (
        "224 x 224, one class; the ResNet's convolutions (a class of their own) and attention's products not counted",
        _transunet_at_224,
    ),
    "swin_unet": (
        "224 x 224 in the layout of Swin-B (128 channels, 18 blocks in the third stage), attention's products not "
        "counted; a guess, since the paper says nothing of its layout",
        _swin_b_at_224,
    ),
    "rfe_unet:resnet34": ("plainly; our widths are chosen so", _plain),
    "rfe_unet:resnet50": ("plainly; the same rule of widths", _plain),
    "rfe_unet:resnet101": ("plainly; the same rule of widths", _plain),
}


def counts() -> list[dict[str, Any]]:
    """What does not depend on the machine: one row a model."""
    rows = []
    for subject in SUBJECTS:
        cost = count(subject)
        row: dict[str, Any] = {
            "model": subject.name,
            "input": " x ".join(map(str, subject.shape)),
            "parameters": cost.parameters,
            "gmac": round(cost.total, 3),
        }
        if subject.name in READINGS:
            row["reading_gmac"] = round(READINGS[subject.name][1](subject), 3)
        rows.append(row)
    return rows


def printed() -> dict[str, float]:
    """The paper's GFLOPs (table 7), by our names."""
    with (ROOT / "pipelines/papers/published/adaptexp.csv").open(newline="") as file:
        found = {row["architecture"]: float(row["gflops"]) for row in csv.DictReader(file) if row["gflops"]}
    return {subject.name: found[subject.printed_as] for subject in SUBJECTS if subject.printed_as is not None}


def step_milliseconds(subject: Subject) -> float:
    """Best of some training steps on two images."""
    torch.manual_seed(0)
    layout = torch.channels_last if len(subject.shape) == 3 else torch.channels_last_3d
    model = subject.build().to(DEVICE, memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters())
    images = torch.rand(BATCH, *subject.shape, device=DEVICE).contiguous(memory_format=layout)
    with torch.no_grad():
        shape = model(images).shape
    target = torch.zeros(BATCH, *shape[2:], dtype=torch.long, device=DEVICE)
    best = float("inf")
    for _ in range(TURNS):
        wait_for_device()
        start = time.perf_counter()
        optimizer.zero_grad()
        cross_entropy(model(images), target).backward()
        optimizer.step()
        wait_for_device()
        best = min(best, 1000 * (time.perf_counter() - start))
    return best


def tables(results: dict[str, Any]) -> dict[str, Table]:
    """The tables of docs/models.md, from what was written to the results."""
    costs = [
        [
            f"`{row['model']}`",
            row["input"],
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['gmac']:.2f}",
            f"{2 * row['gmac']:.2f}",
            f"{row['milliseconds']:.0f}",
        ]
        for row in results["models"]
    ]
    paper = [
        [
            f"`{row['model']}`",
            f"{results['printed'][row['model']]:.2f}",
            f"{row['gmac']:.2f}",
            f"{row['reading_gmac']:.2f}",
            f"{100 * (row['reading_gmac'] / results['printed'][row['model']] - 1):+.1f} %",
            READINGS[row["model"]][0],
        ]
        for row in results["models"]
        if row["model"] in results["printed"]
    ]
    header = ["model", "input", "parameters, millions", "GMAC", "GFLOP", "training step, ms"]
    return {
        "costs": Table(header, costs),
        "paper": Table(["model", "printed", "GMAC", "counted so", "off by", "how"], paper),
        "machine": Table(list(results["machine"]), [[str(value) for value in results["machine"].values()]]),
    }


def main() -> None:
    rows = counts()
    for row, subject in track(list(zip(rows, SUBJECTS, strict=True)), "training steps", unit="models"):
        row["milliseconds"] = round(step_milliseconds(subject), 1)
    machine = {
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
    }
    results = {"machine": machine, "printed": printed(), "models": rows}
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables(results).items():
        document = insert(document, name, table)
        say(f"\n{name}\n{table.markdown()}")
    write_atomically(RESULTS, lambda path: _write(path, json.dumps(results, indent=1) + "\n"))
    write_atomically(DOCUMENT, lambda path: _write(path, document))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
