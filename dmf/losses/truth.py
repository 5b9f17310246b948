"""The labels of a batch, in the forms that losses ask for."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Truth:
    """Labels of `(B, S)` pixels, with those of `ignore_index` set apart.

    Args:
        target: integer labels `(B, *spatial)`, or `(B,)`: then the batch is taken as one image of B pixels.
        num_classes: C.
        ignore_index: label to leave out.
        dtype: floating type in which sums and weights are wanted.
    """

    def __init__(
        self, target: Int[Tensor, "B *spatial"], num_classes: int, ignore_index: int | None, dtype: torch.dtype
    ) -> None:
        self.num_classes = num_classes
        self.dtype = dtype
        self.map = target if target.ndim > 1 else target.unsqueeze(0)
        self.is_image = target.ndim > 1
        self.labels: Int[Tensor, "B S"] = self.map.flatten(1)
        self.valid: Float[Tensor, "B S"] | None = None
        if ignore_index is not None:
            kept = self.labels != ignore_index
            self.valid = kept.to(dtype)
            self.labels = torch.where(kept, self.labels, 0)

    @cached_property
    def index(self) -> Int[Tensor, "B 1 S"]:
        """Labels as an index along the class dimension."""
        return self.labels.long().unsqueeze(1)

    @cached_property
    def one_hot(self) -> Float[Tensor, "B C S"]:
        """1 at the true class. An ignored pixel belongs to none."""
        classes = torch.arange(self.num_classes, device=self.labels.device).unsqueeze(1)
        hot = (self.index == classes).to(self.dtype)
        return hot if self.valid is None else hot * self.valid.unsqueeze(1)

    @cached_property
    def class_pixels(self) -> Float[Tensor, "B C"]:
        """Valid pixels of each class, image by image."""
        return self.one_hot.sum(2)

    @cached_property
    def pixels(self) -> Tensor | int:
        """Number of valid pixels in the batch, at least 1."""
        return self.labels.numel() if self.valid is None else self.valid.sum().clamp_min(1)

    def select(self, table: Float[Tensor, "*B C"]) -> Float[Tensor, "B S"]:
        """The entry of each pixel's true class in a table `(C,)` or, image by image, `(B, C)`."""
        rows = table.to(self.labels.device, self.dtype).expand(len(self.labels), self.num_classes)
        return rows.gather(1, self.index.squeeze(1))

    def total(self, values: Float[Tensor, "B *rest S"]) -> Float[Tensor, ""]:
        """Sum over the valid pixels."""
        if self.valid is None:
            return values.sum()
        valid = self.valid if values.ndim == 2 else self.valid.unsqueeze(1)
        return (values * valid).sum()
