"""Geometric loss strategy (GLS)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.weightings.base import WEIGHTINGS, CarryingWeighting

SMALLEST = 1e-15


@WEIGHTINGS.register("gls")
class GLS(CarryingWeighting):
    """total = G = (Π_i L_i)^(1/N), the geometric mean, so w_i = ∂G/∂L_i = G / (N L_i). The weights have no fixed sum.

    G is homogeneous of degree one, hence Σ_i w_i L_i = G: as a weighted sum with detached weights it has the value and
    the gradient of the geometric mean. It is blind to the scale of a loss, and rewards the loss that is near 0.

    Args:
        num_losses: N.
        scale: See `Weighting`.

    Where we differ: the mean runs over the losses above 1e-15; the others, for which there is none, have weight 0. If
    there is no other, weights are 1/N. A loss that is not finite counts as its last finite value in the weights.

    Source: Chennupati et al., "MultiNet++", CVPR Workshops 2019, equation (2).

    >>> total, weights = GLS(2).combine(torch.tensor([1.0, 4.0]))
    >>> round(total.item(), 4), [round(weight, 4) for weight in weights.tolist()]  # √(1 · 4); 2 / (2 · 1), 2 / (2 · 4)
    (2.0, [1.0, 0.25])
    """

    @property
    def sums_to(self) -> None:
        return None

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        positive = losses > SMALLEST
        number = positive.sum().clamp(min=1)
        logs = losses.clamp(min=SMALLEST).log()
        mean = torch.where(positive, logs, 0.0).sum() / number
        weights = torch.where(positive, (mean - logs).exp() / number, 0.0)
        return torch.where(positive.any(), weights, 1 / self.num_losses)
