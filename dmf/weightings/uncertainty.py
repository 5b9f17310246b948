"""Uncertainty weighting: one learned log-variance for each loss."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.weightings.base import WEIGHTINGS, CarryingWeighting, Combination, Shared

LIMIT = 30.0


@WEIGHTINGS.register("uncertainty")
class Uncertainty(CarryingWeighting):
    """total = Σ_i (½ e^{-s_i} L_i + ½ s_i), so w_i = ½ e^{-s_i}; the s_i start at 0 and are learned.

    `log_variance` is a parameter: give it to the optimiser together with the network's. (A large weight decay pulls
    all weights towards ½.) The weights have no fixed sum. Under scale "sum1" the whole total is divided by their sum.

    Args:
        num_losses: N.
        scale: See `Weighting`.

    Where we differ: e^{-s} is taken of s within ±30, so that a negative loss, for which the total has no minimum, does
    not end in infinity. The gradient of s comes from the losses averaged over all ranks, and from the last finite
    value of a loss that is not finite, so that all ranks learn the same s and one NaN does not spoil it.

    Source: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018, equation (7)
    with s = log σ².

    >>> total, weights = Uncertainty(2).combine(torch.tensor([1.0, 2.0]))
    >>> total.item(), weights.tolist()  # ½ · 1 + ½ · 2, as long as nothing is learned
    (1.5, [0.5, 0.5])
    """

    def __init__(self, num_losses: int, *, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        self.log_variance = nn.Parameter(torch.zeros(num_losses))

    @property
    def sums_to(self) -> None:
        return None

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return 0.5 * torch.exp(-self.log_variance.clamp(-LIMIT, LIMIT))

    def _combine(self, losses: Float[Tensor, " N"], shared: Shared, each: Iterable[Tensor]) -> Combination:
        learned = self(losses)
        weights = learned.detach()
        for_s = (learned - weights) * self.last.clone() + 0.5 * self.log_variance
        return Combination((weights * losses).sum() + for_s.sum().to(losses.dtype), weights)
