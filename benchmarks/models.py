"""What the architectures cost: parameters, operations, and time of a training step, at the size of the RFE U-Net paper.

    python -m benchmarks.models

The tables of docs/models.md. Operations are counted by torch's flop counter on one image of 3 x 256 x 256 and given as
multiply-adds; a FLOP count is twice that. A step is forward, backward and Adam on two images.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness.measure import DEVICE, take_turns
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table
from dmf.models import build_model
from pipelines.core.console import track

PRINTED = Path(__file__).resolve().parents[1] / "pipelines/papers/published/adaptexp.csv"
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
class Setting:
    models: tuple[str, ...] = option(tuple(subject.name for subject in SUBJECTS), "to measure")
    batch: int = option(2, "images of a step")
    turns: int = option(2, "of each model")


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
            extra["standardised"] += output.numel() * module.get_parameter("weight")[0].numel()

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


def counts(subjects: Sequence[Subject] = SUBJECTS) -> list[dict[str, Any]]:
    """What does not depend on the machine: one row a model."""
    rows = []
    for subject in subjects:
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
    with PRINTED.open(newline="") as file:
        found = {row["architecture"]: float(row["gflops"]) for row in csv.DictReader(file) if row["gflops"]}
    return {subject.name: found[subject.printed_as] for subject in SUBJECTS if subject.printed_as is not None}


def step_milliseconds(subject: Subject, setting: Setting) -> float:
    """Of a training step."""
    torch.manual_seed(0)
    layout = torch.channels_last if len(subject.shape) == 3 else torch.channels_last_3d
    model = subject.build().to(DEVICE).to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters())
    images = torch.rand(setting.batch, *subject.shape, device=DEVICE).contiguous(memory_format=layout)
    with torch.no_grad():
        shape = model(images).shape
    target = torch.zeros(setting.batch, *shape[2:], dtype=torch.long, device=DEVICE)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(model(images), target))
        optimizer.step()

    return 1000 * take_turns({"": step}, setting.turns, warm_up=0)[""].best


def measure(setting: Setting) -> Results:
    subjects = [subject for subject in SUBJECTS if subject.name in setting.models]
    rows = counts(subjects)
    for row, subject in track(list(zip(rows, subjects, strict=True)), "training steps", unit="models"):
        row["milliseconds"] = round(step_milliseconds(subject, setting), 1)
    return {"printed": printed(), "models": rows}


def tables(results: Results) -> dict[str, Table]:
    costs = (
        "model: `{model}` | input: {input} | parameters, millions: {millions:.2f} | GMAC: {gmac:.2f}"
        " | GFLOP: {gflop:.2f} | training step, ms: {milliseconds:.0f}"
    )
    paper = (
        "model: `{model}` | printed: {printed:.2f} | GMAC: {gmac:.2f} | counted so: {reading_gmac:.2f}"
        " | off by: {off:+.1f} % | how: {how}"
    )
    models = [{**row, "millions": row["parameters"] / 1e6, "gflop": 2 * row["gmac"]} for row in results["models"]]
    read_as = [
        {**row, "printed": figure, "off": 100 * (row["reading_gmac"] / figure - 1), "how": READINGS[row["model"]][0]}
        for row in models
        if (figure := results["printed"].get(row["model"]))
    ]
    machine = Table([*results["machine"]], [[str(value) for value in results["machine"].values()]])
    return {"costs": Table.of(models, costs), "paper": Table.of(read_as, paper), "machine": machine}


main = benchmark("models", __doc__, Setting, measure, tables)

if __name__ == "__main__":
    main()
