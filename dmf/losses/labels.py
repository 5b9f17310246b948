"""The labels of a batch, in the forms that losses ask for."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.checks import capturing, invalid, require, require_shape, require_tensor


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
        self.map: Int[Tensor, " B *spatial"] = target if target.ndim > 1 else target.unsqueeze(0)
        self.spatial = tuple(range(1, target.ndim))
        self.valid: Float[Tensor, "B S"] | None = None
        if ignore_index is not None:
            kept = self.map != ignore_index
            self.valid = kept.flatten(1).to(dtype)
            self.map = torch.where(kept, self.map.long(), -1)

    @cached_property
    def one_hot(self) -> Float[Tensor, "B C S"]:
        """1 at the true class, 0 elsewhere and at ignored pixels."""
        labels = self.map.flatten(1).unsqueeze(1)
        if self.num_classes < 255:  # bytes compare four times as fast; what is no class stays none
            labels = labels.long().clamp(-1, self.num_classes).to(torch.uint8)
        classes = torch.arange(self.num_classes, device=labels.device, dtype=labels.dtype).unsqueeze(1)
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

    def __getitem__(self, images: slice) -> Labels:
        """The labels of some of the images."""
        part = object.__new__(Labels)
        part.num_classes, part.dtype, part.map, part.spatial = (
            self.num_classes,
            self.dtype,
            self.map[images],
            self.spatial,
        )
        part.valid = None if self.valid is None else self.valid[images]
        return part

    def checked(self, found: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The number of pixels `found` in some class: at least 1, but NaN if other labels are about.

        To raise would mean to wait for the device. A NaN loss is caught downstream, a plausible number would not be.
        """
        size = self.map.numel()
        expected = self.valid.sum() if self.valid is not None else float(size)
        wrong = (found - expected).abs() > 0.5 + size * torch.finfo(self.dtype).eps
        return found.clamp_min(1).masked_fill(wrong, torch.nan)

    def select(self, table: Float[Tensor, "*B C"]) -> Float[Tensor, "B S"]:
        """The entry of each pixel's true class in a table `(C,)` or, image by image, `(B, C)`; 0 at ignored pixels."""
        return self.at(table.to(self.dtype).unsqueeze(-1).expand(len(self.map), -1, self.index.shape[2]))

    def at(self, values: Float[Tensor, "B C S"]) -> Float[Tensor, "B S"]:
        """The value of each pixel's true class; 0 at ignored pixels."""
        return self.kept(values.gather(1, self.index).squeeze(1))

    def kept(self, values: Float[Tensor, "B *C S"]) -> Float[Tensor, "B *C S"]:
        """The values, with 0 at ignored pixels."""
        if self.valid is None:
            return values
        return values * (self.valid if values.ndim == 2 else self.valid.unsqueeze(1))

    def total(self, values: Float[Tensor, "B *C S"]) -> Float[Tensor, ""]:
        """Sum over the valid pixels."""
        return self.kept(values).sum()


def require_classes(target: Int[Tensor, " *shape"], classes: int, ignore_index: int | None) -> None:
    """Raise a ValueError for labels that are neither a class nor `ignore_index`, with their number and one of them.

    Waits for the device. What is being compiled or captured, or has no values, is not looked at.
    """
    if (
        capturing(target)
        or torch.compiler.is_compiling()
        or type(target) is not Tensor
        or target.is_meta
        or target.dtype == torch.bool
    ):
        return
    least, most = (int(value) for value in target.aminmax())
    if least >= 0 and most < classes:
        return
    stray = (target < 0) | (target >= classes)
    if ignore_index is not None:
        stray &= target != ignore_index
    if number := int(stray.sum()):
        ignored = "" if ignore_index is None else f" or {ignore_index}, which is ignored"
        raise ValueError(
            f"Parameter `target` must hold classes from 0 to {classes - 1}{ignored}. Found {number} labels that are "
            f"none, {int(target[stray][0])} among them; divide masks of 0 and 255 by 255, or name the odd value as "
            "`ignore_index`."
        )


def prepare(
    logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, " B *spatial"], classes: int, ignore_index: int | None
) -> tuple[Float[Tensor, "B C S"], Labels]:
    """Logits in the type and shape of the computation, and their labels.

    Raises:
        ValueError: if one is no tensor, the shapes do not belong together, there is no pixel, or the labels are not
            integers or, on the CPU, no classes.
    """
    require_tensor("logits", logits, f"a tensor (B, {classes}, *spatial)")
    require_tensor("target", target, "a tensor of integer labels (B, *spatial)")
    if logits.ndim < 2 or logits.shape[1] != classes:
        raise invalid("logits", tuple(logits.shape), f"(B, {classes}, *spatial)")
    if target.ndim == logits.ndim and target.shape[1] == 1:  # an axis of channels, as MONAI's labels have it
        target = target.squeeze(1)
    require_shape("target", target.shape, (logits.shape[0], *logits.shape[2:]))
    require(target.numel() > 0, "logits", tuple(logits.shape), "of at least one image and pixel, to have a mean")
    if target.is_floating_point() or target.is_complex():
        raise ValueError(f"Parameter `target` must hold integer labels. Found {target.dtype}; convert with `.long()`.")
    if target.device.type == "cpu":  # where to look costs no waiting for a device
        require_classes(target, classes, ignore_index)
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    z = logits.to(dtype)
    z = z.flatten(2) if z.ndim > 2 else z.t().unsqueeze(0)
    return z, Labels(target, classes, ignore_index, dtype)
