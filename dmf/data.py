"""What a trial trains on: whole data sets as uint8 tensors on the training device, and the order of its batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from dmf.seeding import derive_seed

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class TrialData:
    """A data set, kept as uint8: a quarter of float32's memory, converted a batch at a time.

    Attributes:
        images: UInt8 (N, C, H, W) or (N, C, D, H, W), 0 to 255.
        targets: UInt8 class indices: (N, H, W) or (N, D, H, W) in segmentation, (N,) in classification.
        rows: for each split ("train", "val", "test") the Int64 row numbers that belong to it.
        classes: class names; their number is the network's number of outputs.
    """

    images: UInt8[Tensor, "N C *spatial"]
    targets: UInt8[Tensor, " N *spatial"]
    rows: dict[str, Int[Tensor, " n"]]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.ndim not in (4, 5):
            raise ValueError(
                f"images must have shape (N, C, H, W) or (N, C, D, H, W). Found {tuple(self.images.shape)}."
            )
        n, _, *spatial = self.images.shape
        if self.targets.shape not in ((n, *spatial), (n,)):
            raise ValueError(
                f"targets must have shape {(n, *spatial)} (segmentation) or {(n,)} (classification), like the images. "
                f"Found {tuple(self.targets.shape)}."
            )
        for split in SPLITS:
            if split not in self.rows or self.rows[split].numel() == 0:
                raise ValueError(f"The split {split!r} holds no image; each of {', '.join(SPLITS)} needs at least one.")
        if int(self.targets.max()) >= len(self.classes):
            raise ValueError(
                f"targets must be below {len(self.classes)} (the classes). Found {int(self.targets.max())}."
            )

    @property
    def task(self) -> str:
        """ "segmentation" if every pixel has a class, "classification" if every image has one."""
        return "classification" if self.targets.ndim == 1 else "segmentation"

    def to(self, device: torch.device) -> TrialData:
        """The same data on another device."""
        rows = {split: index.to(device) for split, index in self.rows.items()}
        return TrialData(self.images.to(device), self.targets.to(device), rows, self.classes)

    def resized(self, size: int) -> TrialData:
        """Square images of `size` pixels: area averages for images, nearest pixel for masks. Volumes keep depth."""
        if self.images.shape[-2:] == (size, size):
            return self
        shape = (*self.images.shape[2:-2], size, size)
        images = F.interpolate(self.images.float(), shape, mode="area").round().to(torch.uint8)
        targets = self.targets
        if self.task == "segmentation":
            targets = F.interpolate(targets[:, None].float(), shape, mode="nearest-exact")[:, 0].to(torch.uint8)
        return TrialData(images, targets, self.rows, self.classes)

    def batch(self, rows: Int[Tensor, " b"]) -> tuple[Float[Tensor, "b C *spatial"], UInt8[Tensor, " b *spatial"]]:
        """Images in [0, 1] and class indices of the given rows."""
        return self.images[rows].float().div_(255), self.targets[rows]


def channels_last(tensor: Tensor) -> Tensor:
    """The same values, a pixel's channels side by side in memory, which convolutions are quicker on."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.contiguous(memory_format=formats[tensor.ndim]) if tensor.ndim in formats else tensor


def epoch_order(rows: Int[Tensor, " n"], batch_size: int, seed: int, epoch: int) -> list[Int[Tensor, " b"]]:
    """Batches of one epoch: a permutation from (seed, epoch), cut into the fewest batches of equal size (±1).

    Every image is used once an epoch. Cutting evenly avoids a last batch of one or two images, on which batch
    normalisation would compute its statistics.
    """
    generator = torch.Generator().manual_seed(derive_seed("epoch", seed, epoch))
    order = rows[torch.randperm(len(rows), generator=generator).to(rows.device)]
    return list(order.tensor_split(count_batches(len(rows), batch_size)))


def count_batches(images: int, batch_size: int) -> int:
    """Batches an epoch has."""
    return -(-images // batch_size)
