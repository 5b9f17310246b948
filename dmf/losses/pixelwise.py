"""Losses on the probability of the true class, pixel by pixel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.losses.base import LOSSES, Pixels, TrueClassLoss, per_class
from dmf.losses.truth import Truth


@LOSSES.register("cross_entropy")
class CrossEntropyLoss(TrueClassLoss):
    """Categorical cross-entropy: `−1/N Σ_i log p_i`, `p_i` the probability of pixel i's class.

    Source: DMF (BSPC 111:108388, 2026), equation (16).
    """

    def value(self, pixels: Pixels, truth: Truth) -> Float[Tensor, "B S"]:
        return -pixels.log_p

    def slope(self, pixels: Pixels, truth: Truth) -> Float[Tensor, "B S"]:
        return torch.full_like(pixels.p, -1)


@LOSSES.register("focal")
class FocalLoss(TrueClassLoss):
    """Focal loss: `−1/N Σ_i α_c (1 − p_i)^γ log p_i`, c the class of pixel i.

    `alpha` is one weight for all classes (0.25) or one per class, `gamma` (2) the focus on hard pixels; both defaults
    are the authors' code's, the paper names none. Source: DMF, equation (19).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int | None = None,
        alpha: float | tuple[float, ...] = 0.25,
        gamma: float = 2.0,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        if gamma < 0:
            raise ValueError(f"Parameter `gamma` must be >= 0. Found {gamma}.")
        self.gamma = gamma
        self.alpha = per_class("alpha", alpha, num_classes)

    def value(self, pixels: Pixels, truth: Truth) -> Float[Tensor, "B S"]:
        return -pixels.q.pow(self.gamma) * pixels.log_p * self.alpha
