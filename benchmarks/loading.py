"""What it costs to bring batches to a training step: our loaders beside a DataLoader with torchvision's transforms.

    OMP_NUM_THREADS=2 python -m benchmarks.loading

The U-Net of the DMF paper at 128 pixels, batches of 32 and the losses of the paper. "no loading" takes its step on one
batch that lies ready; each loader then feeds the same step, plain or augmented (flips, rotation and scale, contrast and
brightness, noise). The DataLoader works on single images, by torchvision's transforms of the same kinds, in the same
process or in two workers. Freed memory is kept, as in a worker of the grid. All take turns. `loading_ms` is the time of
making a batch and nothing else, `share` its ratio to the quickest step of all. A DataLoader's workers hide theirs where
cores are free, and show what they take from the step where none are. On a GPU steps are taken one kernel at a time, not
by the CUDA graphs of an epoch.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.harness.measure import DEVICE, Action, take_turns
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table, load
from benchmarks.harness.trials import DATASETS, draw
from dmf.training.augment import Augmentation, Augmenter
from dmf.training.data import TrialData, epoch_order
from dmf.training.loading import Loader, Resident, Streamed
from dmf.training.spec import PRECISIONS, TrialSpec
from dmf.training.trial import Trial
from pipelines.grid.memory import keep_freed_memory

AUGMENTATION = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "contrast": 0.2,
    "brightness": 0.1,
    "rotation": 15.0,
    "scale": 0.1,
    "noise": 0.05,
}
Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Setting:
    images: int = option(DATASETS[0], "of the data set; 0.7 of them train")
    side: int = option(128, "of an image")
    batch: int = option(32, "images of a step")
    base_filters: int = option(32, "of the U-Net")
    precisions: tuple[str, ...] = option(PRECISIONS, "of the network", PRECISIONS)
    turns: int = option(10, "of each source of batches")


class Singles(Dataset[tuple[Tensor, Tensor]]):
    """One image and its mask at a time, through torchvision's transforms."""

    def __init__(self, data: TrialData, augmented: bool) -> None:
        train = data.rows["train"]
        self.images, self.targets = data.images[train], data.targets[train]
        kinds = [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(15, scale=(0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.1, contrast=0.2),
        ]
        noise = [v2.GaussianNoise(sigma=0.05)] if augmented else []
        scale = v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True)
        self.transform = v2.Compose([*(kinds if augmented else []), scale, *noise])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.transform(tv_tensors.Image(self.images[row]), tv_tensors.Mask(self.targets[row]))


def from_loader(loader: Loader, augmented: bool, batch: int) -> Batches:
    """Our batches, epoch after epoch, as a trial asks for them."""
    augment = Augmenter(Augmentation.parse(AUGMENTATION if augmented else {}), DEVICE)
    for epoch in itertools.count():
        order = epoch_order(loader.data.rows["train"], batch, 0, epoch)
        augment.begin(epoch)
        loader.prefetch(order)
        for rows in order:
            yield augment(*loader.batch(rows))


def from_singles(data: TrialData, augmented: bool, batch: int, workers: int) -> Batches:
    """The DataLoader's batches, epoch after epoch."""
    loader = DataLoader(
        Singles(data, augmented),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=DEVICE.type == "cuda",
    )
    while True:
        for images, targets in loader:
            yield images.as_subclass(Tensor).to(DEVICE), targets.as_subclass(Tensor).to(DEVICE)


def sources(data: TrialData, mapped: TrialData, setting: Setting) -> dict[str, Batches]:
    """Everything that batches can come from."""
    batch = setting.batch
    resident = Resident(data, DEVICE)
    found: dict[str, Batches] = {"no loading": itertools.repeat(next(from_loader(resident, False, batch)))}
    for augmented in (False, True):
        kind = "augmented" if augmented else "plain"
        found |= {
            f"resident, {kind}": from_loader(resident, augmented, batch),
            f"streamed, {kind}": from_loader(Streamed(mapped, DEVICE), augmented, batch),
            f"DataLoader, {kind}": from_singles(data, augmented, batch, 0),
            f"DataLoader, {kind}, 2 workers": from_singles(data, augmented, batch, 2),
        }
    return found


def compare(precision: str, data: TrialData, mapped: TrialData, setting: Setting) -> list[dict[str, Any]]:
    """Milliseconds of a step fed by each source, and of each source by itself."""
    spec = TrialSpec(
        dataset="drawn",
        seed=0,
        model_params={"base_filters": setting.base_filters},
        precision=precision,
        image_size=setting.side,
        batch_size=setting.batch,
    )
    trial = Trial(spec, data, device=DEVICE)
    trial.model.train()

    def learn(batches: Batches) -> None:
        trial.training_step(*next(batches))
        trial.training_step.recorder.drain()

    feeds = sources(data, mapped, setting)
    rivals: dict[tuple[str, str], Action] = {}
    for name, batches in feeds.items():
        rivals["step", name] = functools.partial(learn, batches)
        if "workers" not in name:
            rivals["alone", name] = functools.partial(next, batches)
    times = take_turns(rivals, setting.turns)
    quickest = min(timing.best for (what, _), timing in times.items() if what == "step")
    rows = []
    for name in feeds:
        row = {"precision": precision, "batches_from": name, "step_ms": 1000 * times["step", name].best}
        if ("alone", name) in times:
            own = times["alone", name].best
            row |= {"loading_ms": 1000 * own, "share": own / quickest}
        rows.append(row)
    return rows


def measure(setting: Setting) -> Results:
    keep_freed_memory()
    data = draw(setting.images, setting.side)
    with tempfile.TemporaryDirectory() as folder:
        maps: dict[str, Any] = {}
        for name in ("images", "targets"):
            np.save(Path(folder) / f"{name}.npy", getattr(data, name).numpy())
            maps[name] = np.load(Path(folder) / f"{name}.npy", mmap_mode="r")
        mapped = TrialData(**maps, rows=data.rows, classes=data.classes)
        found = [compare(precision, data, mapped, setting) for precision in setting.precisions]
    return {"rows": [row for rows in found for row in rows]}


def tables(results: Results) -> dict[str, Table]:
    columns = (
        "precision: {precision} | batches from: {batches_from} | ms to make a batch: {loading_ms:.1f}"
        " | of the quickest step: {share:.2%} | ms a step, fed by it: {step_ms:.0f}"
    )
    return {"loading": Table.of(results["rows"], columns).noted(load(results))}


main = benchmark("loading", __doc__, Setting, measure, tables)

if __name__ == "__main__":
    main()
