"""A focal loss whose focus and share move with training: the "new parameters" of the loss fusion paper."""

from __future__ import annotations

from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import require, require_at_least
from dmf.losses.base import LOSSES, Common, Loss
from dmf.losses.families import Whole
from dmf.losses.labels import Labels
from dmf.losses.weighted import pixels_per_weight
from dmf.targets import SOFTMAX


@LOSSES.register("paced_focal")
class PacedFocalLoss(Loss, Whole):
    """Focal loss with a pace: `−δ^e 1/N Σ_i (1 − p_i)^γ(e) log p_i`, e the epoch, `γ(e) = γ (1 + s e d)`.

    `d` is the mean difficulty `1/N Σ_i (1 − p_i)` of the batch, a number and not differentiated. The harder the batch
    and the later the epoch, the more the hard pixels count; the whole term meanwhile fades beside other losses. In
    epoch 0, or with s = 0 and δ = 1, this is the focal loss with α = 1.

    Args:
        gamma: γ >= 0 at the start, default 2.
        adaptive_gamma: whether γ follows the difficulty, default True.
        epoch_scaling_factor: s >= 0, growth of γ an epoch, default 0.1.
        focal_weight_decay: δ in (0, 1], what an epoch leaves of the term, default 0.99.

    The epoch is told by `set_epoch`; it is part of the state.

    Source: Ramani et al. name `adaptive_gamma` (True), `epoch_scaling_factor` (0.1) and `focal_weight_decay` (0.99)
    and print no formula; this one is ours.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> loss = PacedFocalLoss(2)
    >>> round(loss(p.log(), y).item(), 4)  # −(¼² log ¾ + ½² log ½) / 2
    0.0956
    >>> loss.set_epoch(50)
    >>> round(loss(p.log(), y).item(), 4)  # γ = 2 (1 + 0.1 · 50 · ⅜) = 5.75, and 0.99^50 = 0.6 of the term
    0.0039
    """

    over_pixels = True
    epoch: Float[Tensor, ""]

    def __init__(
        self,
        num_classes: int,
        *,
        gamma: float = 2.0,
        adaptive_gamma: bool = True,
        epoch_scaling_factor: float = 0.1,
        focal_weight_decay: float = 0.99,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        require_at_least(0, gamma=gamma, epoch_scaling_factor=epoch_scaling_factor)
        require(0 < focal_weight_decay <= 1, "focal_weight_decay", focal_weight_decay, "more than 0 and at most 1")
        self.gamma = gamma
        self.growth = epoch_scaling_factor if adaptive_gamma else 0.0
        self.decay = focal_weight_decay
        self.register_buffer("epoch", torch.zeros(()))

    def set_epoch(self, epoch: int) -> None:
        """The epoch that begins, counted from 0."""
        self.epoch.fill_(epoch)

    def from_labels(self, z: Float[Tensor, "B C S"], labels: Labels) -> Float[Tensor, ""]:
        log_p = labels.at(z.log_softmax(1))
        q = (-torch.expm1(log_p)).clamp_min(torch.finfo(z.dtype).tiny)
        pixels = labels.checked(labels.class_pixels.sum())
        difficulty = labels.total(q.detach()) / pixels
        gamma = self.gamma * (1 + self.growth * self.epoch * difficulty)
        values = q.pow(gamma) * log_p
        if self.table is not None and self.activation == SOFTMAX:
            values = values * labels.select(self.table) * pixels_per_weight(labels, self.table)
        return -(self.decay**self.epoch) * labels.total(values) / pixels
