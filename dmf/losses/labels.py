"""The labels of a batch, in the forms that losses ask for."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.targets import Shares


class Labels:
    """Labels of B images of S pixels.

    A batch of single labels `(B,)` is taken as one image of B pixels, so that a loss that weighs classes image by
    image weighs them over the batch. An ignored pixel belongs to no class.

    Args:
        target: integer labels `(B, *spatial)` or `(B,)`.
        num_classes: C.
        ignore_index: label to leave out, None for none.
        dtype: floating type of sums and weights.
    """

    def __init__(
        self, target: Int[Tensor, " B *spatial"], num_classes: int, ignore_index: int | None, dtype: torch.dtype
    ) -> None:
        self.num_classes = num_classes
        self.dtype = dtype
        self.ignore_index = ignore_index
        self.given: Int[Tensor, " B *spatial"] = target if target.ndim > 1 else target.unsqueeze(0)
        self.spatial = tuple(range(1, target.ndim))

    @cached_property
    def map(self) -> Int[Tensor, " B *spatial"]:
        """The labels, -1 at ignored pixels."""
        if self.ignore_index is None:
            return self.given
        return torch.where(self.given != self.ignore_index, self.given.long(), -1)

    @cached_property
    def valid(self) -> Float[Tensor, "B S"] | None:
        """1 at pixels that count; None if all do."""
        return None if self.ignore_index is None else (self.given != self.ignore_index).flatten(1).to(self.dtype)

    @cached_property
    def one_hot(self) -> Float[Tensor, "B C S"]:
        """1 at the true class, 0 elsewhere and at ignored pixels."""
        labels = self.map.flatten(1).unsqueeze(1).long()
        if self.num_classes < 255:  # bytes compare four times as fast; what is no class stays none
            labels = labels.clamp(-1, self.num_classes).to(torch.uint8)
        classes = torch.arange(self.num_classes, device=labels.device, dtype=labels.dtype).unsqueeze(1)
        if torch._C._are_functorch_transforms_active():  # type: ignore[attr-defined]  # noqa: SLF001
            return (labels == classes).to(self.dtype)
        hot = torch.empty(len(labels), self.num_classes, labels.shape[2], dtype=self.dtype, device=labels.device)
        return torch.eq(labels, classes, out=hot)

    @cached_property
    def index(self) -> Int[Tensor, "B 1 S"]:
        """Where each pixel's class is found; that of some class where the label is none."""
        return self.map.flatten(1).long().clamp(0, self.num_classes - 1).unsqueeze(1)

    @cached_property
    def class_pixels(self) -> Float[Tensor, "B C"]:
        """Valid pixels of each class, image by image."""
        return self.one_hot.sum(2)

    @property
    def foreground(self) -> Float[Tensor, " B *spatial"]:
        """What share of each pixel belongs to classes other than 0."""
        return (self.map > 0).to(self.dtype)

    def __getitem__(self, images: slice) -> Labels:
        """The labels of some of the images."""
        part = Labels(self.given[images], self.num_classes, self.ignore_index, self.dtype)
        part.map, part.spatial = self.map[images], self.spatial
        part.valid = None if self.valid is None else self.valid[images]
        return part

    def checked(self, found: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The number of pixels `found` in some class, at least 1; NaN if `counted` is."""
        return self.counted(found).clamp_min(1)

    def counted(self, found: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The number of pixels `found` in some class, but NaN if other labels are about.

        To raise would mean to wait for the device. A NaN loss is caught downstream, a plausible number would not be.
        """
        size = self.map.numel()
        expected = self.valid.sum() if self.valid is not None else float(size)
        wrong = (found - expected).abs() > 0.5 + size * torch.finfo(self.dtype).eps
        return found.masked_fill(wrong, torch.nan)

    def select(self, table: Float[Tensor, "*B C"]) -> Float[Tensor, "B S"]:
        """The entry of each pixel's true class in a table `(C,)` or, image by image, `(B, C)`; 0 at ignored pixels."""
        return self.at(table.to(self.dtype).unsqueeze(-1).expand(len(self.map), -1, self.index.shape[2]))

    def at(self, values: Float[Tensor, "B C S"]) -> Float[Tensor, "B S"]:
        """The value of each pixel's true class; 0 at ignored pixels."""
        return self.kept(values.gather(1, self.index).squeeze(1))

    def masked(self, z: Float[Tensor, "B *C S"]) -> Float[Tensor, "B *C S"]:
        """Logits, with 0 at ignored pixels, where they may be infinite or NaN; no gradient reaches those."""
        if self.valid is None:
            return z
        ignored = self.valid == 0
        return z.masked_fill(ignored if z.ndim == 2 else ignored.unsqueeze(1), 0)

    def kept(self, values: Float[Tensor, "B *C S"]) -> Float[Tensor, "B *C S"]:
        """The values, with 0 at ignored pixels."""
        if self.valid is None:
            return values
        return values * (self.valid if values.ndim == 2 else self.valid.unsqueeze(1))

    def total(self, values: Float[Tensor, "B *C S"]) -> Float[Tensor, ""]:
        """Sum over the valid pixels."""
        return self.kept(values).sum()


class SoftLabels(Labels):
    """Soft labels: a pixel is as many as there are classes, each weighing its share.

    What a pixelwise loss sees as pixels `S` of a class are therefore the `C S` pairs of class and pixel.

    Args:
        shares: `(B, C, *spatial)` or `(B, C)`, those of a pixel summing to 1.
        dtype: floating type of sums and weights.
    """

    def __init__(self, shares: Shares, dtype: torch.dtype) -> None:
        values, kept = shares
        self.num_classes = values.shape[1]
        self.dtype = dtype
        values = values if values.ndim > 2 else values.t().unsqueeze(0)
        self.spatial = tuple(range(1, shares.values.ndim - 1))
        self.size = values.shape[2:]
        self.one_hot = values.flatten(2)
        self.valid = None
        if kept is not None:
            self.valid = (kept.flatten(1) if kept.ndim > 1 else kept.unsqueeze(0)).to(dtype)

    @property
    def foreground(self) -> Float[Tensor, " B *spatial"]:
        """What share of each pixel belongs to classes other than 0."""
        return self.one_hot[:, 1:].sum(1).view(-1, *self.size)

    def counted(self, found: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The number of pixels; NaN if shares are."""
        return found

    def select(self, table: Float[Tensor, "*B C"]) -> Float[Tensor, "B S"]:
        """The entry of each class in a table `(C,)` or, image by image, `(B, C)`; 0 where it has no share."""
        return self.at(table.to(self.dtype).unsqueeze(-1).expand_as(self.one_hot))

    def at(self, values: Float[Tensor, "B C S"]) -> Float[Tensor, "B S"]:
        """The value of each class; 0 where it has no share."""
        return self.kept(values.flatten(1))

    def kept(self, values: Float[Tensor, "B *C S"]) -> Float[Tensor, "B *C S"]:
        """The values, with 0 where a class has no share, or where a pixel is ignored."""
        return values * (self.one_hot > 0).flatten(1) if values.ndim == 2 else super().kept(values)

    def total(self, values: Float[Tensor, "B *C S"]) -> Float[Tensor, ""]:
        """Sum over the valid pixels, in which a class weighs its share."""
        return (values * self.one_hot.flatten(1)).sum() if values.ndim == 2 else super().total(values)
