"""Trials to measure: the DMF paper's grid, on images that are drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.harness.measure import DEVICE
from benchmarks.harness.script import option
from dmf.training.data import TrialData
from dmf.training.spec import PRECISIONS, TrialSpec

AUXILIARIES = ("tversky", "focal", "cb_dice", None)
CONFIGURATIONS: list[dict[str, Any]] = [
    *({"weighting": w, "auxiliary": a} for w in ("variance", "mad", "bayesian") for a in AUXILIARIES),
    {"weighting": "fixed", "auxiliary": None},
]
TRAININGS, EPOCHS = 390, 100
"""Of the paper's grid: 13 configurations x 3 data sets x 10 repeats."""
DATASETS = (647, 250, 500)
"""Images of BUSI without its normal cases, BUSC and BUS-Synthetic."""
PAPER = {"images": 647, "image_size": 128, "base_filters": 32, "batch_size": 32}
SMALL = {"images": 240, "image_size": 64, "base_filters": 16, "batch_size": 8}
DEFAULT = PAPER if DEVICE.type == "cuda" else SMALL


@dataclass(frozen=True)
class Size:
    """Of trials and of the data set that they train on: the paper's on a GPU, the quickstart's without."""

    images: int = option(DEFAULT["images"], "of the data set")
    image_size: int = option(DEFAULT["image_size"], "side of an image")
    base_filters: int = option(DEFAULT["base_filters"], "of the U-Net")
    batch_size: int = option(DEFAULT["batch_size"], "images of a step")
    precision: str = option("auto", "of the network", PRECISIONS)

    def data(self) -> TrialData:
        return draw(self.images, self.image_size)


@contextmanager
def quiet() -> Iterator[None]:
    """What diagnostics find in drawn images is of no interest."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def draw(images: int, side: int) -> TrialData:
    """Grey noise with a bright rectangle each; split 70/15/15."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.zeros(images, side, side, dtype=torch.uint8)
    for target in targets:
        top, left = torch.randint(0, side // 2, (2,), generator=generator).tolist()
        target[top : top + side // 3, left : left + side // 3] = 1
    noise = torch.randint(0, 120, (images, 1, side, side), generator=generator)
    bounds = [0, int(0.7 * images), int(0.85 * images), images]
    rows = {name: torch.arange(bounds[i], bounds[i + 1]) for i, name in enumerate(("train", "val", "test"))}
    return TrialData((noise + 100 * targets[:, None]).to(torch.uint8), targets, rows, ("background", "lesion"))


def specs(number: int, size: Size) -> list[TrialSpec]:
    """The first trials of the paper's grid, by seed, then configuration."""
    return [
        TrialSpec(
            dataset="drawn",
            seed=index // len(CONFIGURATIONS),
            model_params={"base_filters": size.base_filters},
            image_size=size.image_size,
            batch_size=size.batch_size,
            precision=size.precision,
            **CONFIGURATIONS[index % len(CONFIGURATIONS)],
        )
        for index in range(number)
    ]
