"""What it costs to bring batches to a training step: our loaders beside a DataLoader with torchvision's transforms.

    OMP_NUM_THREADS=2 python -m benchmarks.loading

The U-Net of the DMF paper at 128 pixels, batches of 32 and the losses of the paper. "no loading" takes its step on one
batch that lies ready; each loader then feeds the same step, plain or augmented (flips, rotation and scale, contrast and
brightness, noise). The DataLoader works on single images, by torchvision's transforms of the same kinds, in the same
process or in two workers. Freed memory is kept, as in a worker of the grid. All take turns and the best of each counts,
since whatever else the machine does only slows them. `loading ms` is the time of making a batch and nothing else,
`share` its ratio to the quickest step of all. A DataLoader's workers hide theirs where cores are free, and show what
they take from the step where none are. Prints a table and writes benchmarks/results/loading.json. The GPU is used where
there is one; steps are then taken one kernel at a time, not by the CUDA graphs of an epoch.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.device import wait_for_device
from dmf.training.augment import Augmentation, Augmenter
from dmf.training.data import TrialData, epoch_order
from dmf.training.loading import Loader, Resident, Streamed
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pipelines.grid.memory import keep_freed_memory

RESULTS = Path(__file__).parent / "results" / "loading.json"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
IMAGES, SIDE, BATCH = 453, 128, 32  # the training images of the DMF paper
TURNS, STEPS = 10, 1
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


class Singles(Dataset[tuple[Tensor, Tensor]]):
    """One image and its mask at a time, through torchvision's transforms."""

    def __init__(self, data: TrialData, augmented: bool) -> None:
        self.images, self.targets = data.images, data.targets
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


def from_loader(loader: Loader, augmented: bool) -> Batches:
    """Our batches, epoch after epoch, as a trial asks for them."""
    augment = Augmenter(Augmentation.parse(AUGMENTATION if augmented else {}), DEVICE)
    for epoch in itertools.count():
        order = epoch_order(loader.data.rows["train"], BATCH, 0, epoch)
        augment.begin(epoch)
        loader.prefetch(order)
        for rows in order:
            yield augment(*loader.batch(rows))


def from_singles(data: TrialData, augmented: bool, workers: int) -> Batches:
    """The DataLoader's batches, epoch after epoch."""
    loader = DataLoader(
        Singles(data, augmented),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=DEVICE.type == "cuda",
    )
    while True:
        for images, targets in loader:
            yield images.as_subclass(Tensor).to(DEVICE), targets.as_subclass(Tensor).to(DEVICE)


def always(batch: tuple[Tensor, Tensor]) -> Batches:
    """One batch that lies ready."""
    while True:
        yield batch


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes, the device's part included."""
    wait_for_device()
    started = time.perf_counter()
    action()
    wait_for_device()
    return time.perf_counter() - started


def sources(data: TrialData, mapped: TrialData) -> dict[str, Batches]:
    """Everything that batches can come from."""
    resident, streamed = Resident(data, SIDE, DEVICE), Streamed(mapped, SIDE, DEVICE)
    found: dict[str, Batches] = {"no loading": always(next(from_loader(resident, False)))}
    for augmented in (False, True):
        kind = "augmented" if augmented else "plain"
        found |= {
            f"resident, {kind}": from_loader(resident, augmented),
            f"streamed, {kind}": from_loader(streamed if augmented else Streamed(mapped, SIDE, DEVICE), augmented),
            f"DataLoader, {kind}": from_singles(data, augmented, 0),
            f"DataLoader, {kind}, 2 workers": from_singles(data, augmented, 2),
        }
    return found


def compare(precision: str, data: TrialData, mapped: TrialData) -> dict[str, dict[str, float]]:
    """Milliseconds of a step fed by each source, and of each source by itself."""
    spec = TrialSpec(dataset="phantom", seed=0, precision=precision, image_size=SIDE, batch_size=BATCH)
    trial = Trial(spec, data, device=DEVICE)
    feeds = sources(data, mapped)
    trial.model.train()
    steps: dict[str, list[float]] = {name: [] for name in feeds}
    alone: dict[str, list[float]] = {name: [] for name in feeds}
    for turn in range(TURNS):
        for name, batches in feeds.items():
            for number in range(STEPS + 1):
                taken = seconds(lambda: trial.training_step(*next(batches)))  # noqa: B023
                if turn or number:  # the very first step of each allocates
                    steps[name].append(taken)
            alone[name] += [seconds(lambda: next(batches)) for _ in range(STEPS)] if "workers" not in name else []  # noqa: B023
            trial.training_step.recorder.drain()
    quickest = min(min(taken) for taken in steps.values())
    rows = {}
    for name in feeds:
        rows[name] = {"step ms": round(1000 * min(steps[name]), 1)}
        if alone[name]:
            own = min(alone[name])
            rows[name] |= {"loading ms": round(1000 * own, 2), "share": round(own / quickest, 4)}
    return rows


def synthetic() -> TrialData:
    """Bright ellipses on noise, as many as the paper trains on."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    centre, radius = (generator.uniform(low, high, (2, IMAGES, 1, 1)) for low, high in ((40, 88), (8, 30)))
    masks = (((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1).astype(np.uint8)
    images = (generator.integers(0, 120, (IMAGES, SIDE, SIDE)) + 80 * masks).astype(np.uint8)
    rows = {split: torch.arange(IMAGES) for split in ("train", "val", "test")}
    return TrialData(torch.from_numpy(images[:, None]), torch.from_numpy(masks), rows, ("background", "lesion"))


def main() -> None:
    """Measures, prints, writes."""
    keep_freed_memory()
    data = synthetic()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        maps = []
        for name in ("images", "targets"):
            np.save(Path(folder) / f"{name}.npy", getattr(data, name).numpy())
            maps.append(np.load(Path(folder) / f"{name}.npy", mmap_mode="r"))
        mapped = TrialData(*maps, data.rows, data.classes)
        print(f"{'precision':10} {'batches from':34} {'step ms':>9} {'loading ms':>11} {'share':>7}")
        for precision in ("fp32", "bf16"):
            results[precision] = compare(precision, data, mapped)
            for name, row in results[precision].items():
                own = f"{row['loading ms']:11.2f} {row['share']:7.2%}" if "loading ms" in row else ""
                print(f"{precision:10} {name:34} {row['step ms']:9.1f} {own}")
    machine = {
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
    }
    setting = {"images": IMAGES, "side": SIDE, "batch": BATCH, "augmentation": AUGMENTATION}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "setting": setting, "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
