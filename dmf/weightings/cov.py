"""Coefficient-of-variation weighting (CoV)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.weightings.base import WEIGHTINGS, CarryingWeighting, ratio
from dmf.weightings.statistics import shares


@WEIGHTINGS.register("cov")
class CoV(CarryingWeighting):
    """w_i = c_i / Σ_j c_j, c = σ(l) / μ(l), l(t) = L(t) / μ(L up to t-1). Sums to 1.

    σ and μ run over all steps so far, this one included (Welford's recurrence). Weights are 1/N at the first step, and
    where all coefficients are 0. The loss that varies the most relative to its mean gets the most weight.

    Args:
        num_losses: N.
        scale: See `Weighting`.

    Where we differ: |μ(l)| stands for μ(l), so that signed losses get no negative weight; a denominator nearer to 0
    than 1e-12 is moved there; a loss that is not finite counts as its last finite value.

    Source: Groenendijk et al., "Multi-Loss Weighting with Coefficient of Variations", WACV 2021, equations (2, 3).

    >>> weighting = CoV(2)
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 1.0], [2.0, 1.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # only the first varies
    [1.0, 0.0]
    """

    step: Int[Tensor, ""]
    mean_loss: Float[Tensor, " N"]
    mean: Float[Tensor, " N"]
    squares: Float[Tensor, " N"]

    def __init__(self, num_losses: int, *, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        for name in ("mean_loss", "mean", "squares"):
            self.register_buffer(name, torch.zeros(num_losses, dtype=torch.float64))

    @property
    def sums_to(self) -> float:
        return 1.0

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        relative = torch.where(self.step > 0, ratio(losses, self.mean_loss), 1.0)
        self.step.add_(1)
        distance = relative - self.mean
        self.mean.add_(distance / self.step)
        self.squares.add_(distance * (relative - self.mean))
        self.mean_loss.add_((losses - self.mean_loss) / self.step)
        coefficient = ratio((self.squares / self.step).clamp(min=0.0).sqrt(), self.mean.abs())
        return shares(coefficient, torch.full_like(losses, 1 / self.num_losses))
