"""SoftAdapt."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.weightings.base import WEIGHTINGS, CarryingWeighting


@WEIGHTINGS.register("softadapt")
class SoftAdapt(CarryingWeighting):
    """w = softmax(β s), s_i = L_i(t) - L_i(t-1). Sums to 1; 1/N each at the first step.

    For β > 0 the loss that falls the slowest, or rises, gets the most weight; for β < 0 the fastest. The slope has the
    unit of the loss, so a loss on a large scale rules.

    Args:
        num_losses: N.
        beta: β, default 0.1 (the paper's).
        scale: See `Weighting`.

    Where we differ: the slope is the first difference; the paper also offers higher-order differences, and variants
    that divide by Σ|s| or multiply by the loss. A loss that is not finite counts as its last finite value.

    Source: Heydari, Thompson and Mehmood, "SoftAdapt", arXiv 1912.12355, equation (3).

    >>> weighting = SoftAdapt(2, beta=1.0)
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 1.0], [2.0, 1.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # softmax(1, 0)
    [0.7311, 0.2689]
    """

    step: Int[Tensor, ""]

    def __init__(self, num_losses: int, *, beta: float = 0.1, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        self.beta = beta
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @property
    def sums_to(self) -> float:
        return 1.0

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        slope = torch.where(self.step > 0, losses - self.last, 0.0)
        self.step.add_(1)
        return (self.beta * slope).softmax(0)
