"""Dynamic weight average (DWA)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.checks import require_above, require_at_least
from dmf.weightings.base import WEIGHTINGS, CarryingWeighting, ratio


@WEIGHTINGS.register("dwa")
class DWA(CarryingWeighting):
    """w_i(t) = N softmax_i(r_i(t-1) / T), r_i(t-1) = L̄_i(t-1) / L̄_i(t-2). Sums to N; 1 each in the first two epochs.

    The loss that falls the slowest gets the most weight.

    Args:
        num_losses: N.
        temperature: T > 0, default 2 (the paper's); the larger, the more equal the weights.
        period: Steps in an epoch t, over which L̄ is the mean, default 50. The paper takes epochs of training: give
            the number of batches in one. 1 compares single batches, as some libraries do.
        scale: See `Weighting`.

    Where we differ: a denominator nearer to 0 than 1e-12 is moved there, and a loss that is not finite counts as its
    last finite value.

    Source: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equation (7).

    >>> weighting = DWA(2, temperature=1.0, period=1)
    >>> weights = [weighting(losses) for losses in torch.tensor([[2.0, 2.0], [1.0, 2.0], [1.0, 2.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # 2 softmax(½, 1)
    [0.7551, 1.2449]
    """

    step: Int[Tensor, ""]
    running: Float[Tensor, " N"]
    newer: Float[Tensor, " N"]
    older: Float[Tensor, " N"]

    def __init__(self, num_losses: int, *, temperature: float = 2.0, period: int = 50, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        require_above(0, temperature=temperature)
        require_at_least(1, "step", period=period)
        self.temperature, self.period = temperature, period
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        for name in ("running", "newer", "older"):
            self.register_buffer(name, torch.zeros(num_losses, dtype=torch.float64))

    @property
    def sums_to(self) -> float:
        return float(self.num_losses)

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        rates = torch.where(self.step < 2 * self.period, 1.0, ratio(self.newer, self.older))
        weights = self.num_losses * (rates / self.temperature).softmax(0)
        self._remember(losses)
        return weights

    def _remember(self, losses: Float[Tensor, " N"]) -> None:
        self.step.add_(1)
        self.running.add_(losses / self.period)
        over = self.step % self.period == 0
        self.older.copy_(torch.where(over, self.newer, self.older))
        self.newer.copy_(torch.where(over, self.running, self.newer))
        self.running.copy_(torch.where(over, 0.0, self.running))
