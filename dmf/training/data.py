"""What a trial trains on: whole data sets as uint8 tensors on the training device, and the order of its batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from dmf.checks import require, require_shape
from dmf.training.seeding import derive_seed

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class TrialData:
    """A data set, kept as uint8: a quarter of float32's memory, converted a batch at a time.

    Tensors lie in memory. Arrays may be memory maps of files, or shared and read-only: rows are copied when read.

    Attributes:
        images: UInt8 (N, C, H, W) or (N, C, D, H, W), 0 to 255.
        targets: UInt8 class indices: (N, H, W) or (N, D, H, W) in segmentation, (N,) in classification.
        rows: for each split ("train", "val", "test") the Int64 row numbers that belong to it.
        classes: class names; their number is the network's number of outputs.
        ignore_index: target of pixels that count nowhere, neither in losses nor in scores; None if there is none.
        spacing: Float64 (N, H and W), the sides of each image's pixels in pixels of the original that it was resized
            from; None where nothing was resized, or nobody knows. Distances are then told in those pixels, too.
    """

    images: UInt8[Tensor, "N C *spatial"] | UInt8[np.ndarray, "N C *spatial"]
    targets: UInt8[Tensor, " N *spatial"] | UInt8[np.ndarray, " N *spatial"]
    rows: dict[str, Int[Tensor, " n"]]
    classes: tuple[str, ...]
    spacing: Float[np.ndarray, "N 2"] | None = None
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        require(len(shape) in (4, 5), "images", shape, "of shape (N, C, H, W) or (N, C, D, H, W)")
        n, _, *spatial = shape
        expected = f"of shape {(n, *spatial)} (segmentation) or {(n,)} (classification), like the images"
        fits = tuple(self.targets.shape) in ((n, *spatial), (n,))
        require(fits, "targets", tuple(self.targets.shape), expected)
        count, ignored = len(self.classes), self.ignore_index
        fits = ignored is None or count <= ignored <= 255
        require(fits, "ignore_index", ignored, f"no class and a byte, from {count} to 255")
        _require_bytes("images", self.images, "intensities from 0 to 255; of floats in [0, 1], `(255 * x).round()`")
        _require_bytes("targets", self.targets, "class indices from 0")
        if self.spacing is not None:
            spacing = np.asarray(self.spacing, dtype=np.float64)
            require_shape("spacing", spacing.shape, (n, 2))
            positive = bool(((spacing > 0) & (spacing < np.inf)).all())
            require(positive, "spacing", float(spacing.min()), "of positive numbers")
            object.__setattr__(self, "spacing", spacing)
        rows = dict(self.rows)
        for split in SPLITS:
            if split not in self.rows or len(self.rows[split]) == 0:
                raise ValueError(f"The split {split!r} holds no image; each of {', '.join(SPLITS)} needs at least one.")
            given = torch.as_tensor(self.rows[split])
            known = not given.is_floating_point() and 0 <= int(given.min()) <= int(given.max()) < n
            require(known, f"rows[{split!r}]", given.tolist()[:5], f"row numbers from 0 to {n - 1}")
            rows[split] = given.long()
        object.__setattr__(self, "rows", rows)
        if isinstance(self.targets, Tensor):
            self._require_classes(self.targets)

    @property
    def task(self) -> str:
        """Either "segmentation", a class for every pixel, or "classification", one for every image."""
        return "classification" if self.targets.ndim == 1 else "segmentation"

    def read(self, rows: Int[Tensor, " b"]) -> tuple[UInt8[Tensor, "b C *spatial"], UInt8[Tensor, " b *spatial"]]:
        """Images and targets of the given rows, in memory.

        Raises:
            ValueError: if a target of them is no class; those of arrays are looked at when they are read.
        """
        if isinstance(self.images, Tensor) and isinstance(self.targets, Tensor):
            return self.images.index_select(0, rows), self.targets.index_select(0, rows)
        index = rows.numpy()
        images, targets = (torch.from_numpy(np.array(array[index])) for array in (self.images, self.targets))
        self._require_classes(targets)
        return images, targets

    def to(self, device: torch.device) -> TrialData:
        """The whole of it as tensors on a device."""
        rows = {split: index.to(device) for split, index in self.rows.items()}
        if isinstance(self.images, Tensor) and isinstance(self.targets, Tensor):
            return replace(self, images=self.images.to(device), targets=self.targets.to(device), rows=rows)
        images, targets = self.read(torch.arange(len(self.images)))
        return replace(self, images=images.to(device), targets=targets.to(device), rows=rows)

    def _require_classes(self, targets: UInt8[Tensor, " b *spatial"]) -> None:
        count, ignored = len(self.classes), self.ignore_index
        known = targets if ignored is None else targets.masked_fill(targets == ignored, 0)
        rule = f"below {count} (the classes)" + ("" if ignored is None else f", or {ignored} (`ignore_index`)")
        require(int(known.max()) < count, "targets", int(known.max()), rule)


def require_size(data: TrialData, image_size: int) -> None:
    """Raises ValueError if the images have not `image_size` pixels a side: training neither enlarges nor shrinks."""
    height, width = data.images.shape[-2:]
    if (height, width) != (image_size, image_size):
        raise ValueError(
            f"Trial field `image_size` is {image_size}, but the images have {height} x {width} pixels (height x "
            "width), and training does not resize. Make them anew from the originals at the size of the trial (the "
            "filter stage does), or give the trial the size of the images."
        )


def _require_bytes(name: str, found: Tensor | np.ndarray, what: str) -> None:
    if found.dtype not in (torch.uint8, np.uint8):
        raise ValueError(
            f"Parameter `{name}` must hold bytes (uint8), {what}. Found {found.dtype} with values from "
            f"{found.min():g} to {found.max():g}."
        )


def channels_last(tensor: Tensor) -> Tensor:
    """The same values, a pixel's channels side by side in memory, which convolutions are quicker on.

    With one channel both orders are the same memory, and `contiguous` leaves the strides alone. But by the strides a
    convolution decides in which order its output is; so they are written out.
    """
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if tensor.ndim not in formats:
        return tensor
    ordered = tensor.contiguous(memory_format=formats[tensor.ndim])
    strides = torch.empty_like(ordered, device="meta", memory_format=formats[tensor.ndim]).stride()
    return ordered.as_strided(ordered.shape, strides)


def epoch_order(rows: Int[Tensor, " n"], batch_size: int, seed: int, epoch: int) -> list[Int[Tensor, " b"]]:
    """Batches of one epoch: a permutation from (seed, epoch), cut into `count_batches` batches of equal size (±1).

    Every image is used once an epoch. Cutting evenly avoids a last batch of one or two images, on which batch
    normalisation would compute its statistics.
    """
    generator = torch.Generator().manual_seed(derive_seed("epoch", seed, epoch))
    order = rows[torch.randperm(len(rows), generator=generator).to(rows.device)]
    return list(order.tensor_split(count_batches(len(rows), batch_size)))


def count_batches(images: int, batch_size: int) -> int:
    """Batches an epoch has: the fewest of at most `batch_size` images.

    With a `batch_size` of 2 and an odd number of images one of them would hold a single image, on which batch
    normalisation may have no variance to divide by; there is one batch fewer then, and one that holds three.

    >>> count_batches(10, 4), count_batches(9, 2), count_batches(1, 2)
    (3, 4, 1)
    """
    least = -(-images // batch_size)
    return least - (batch_size == 2 and images % 2 == 1 and images > 1)
