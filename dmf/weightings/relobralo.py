"""Relative loss balancing with random lookback (ReLoBRaLo)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf import draws
from dmf.checks import require_above, require_within
from dmf.weightings.base import WEIGHTINGS, CarryingWeighting, ratio


@WEIGHTINGS.register("relobralo")
class ReLoBRaLo(CarryingWeighting):
    """w(t) = α (ρ w(t-1) + (1-ρ) b(t, 0)) + (1-α) b(t, t-1), b(t, t') = N softmax(L(t) / (T L(t'))). Sums to N.

    ρ is 1 with probability `rho` and else 0, drawn once a step for all losses: now and then the run looks back to its
    beginning, and a loss that has fallen less since then gains weight. Weights are 1 each at the first step.

    Args:
        num_losses: N.
        alpha: α in [0, 1], how slowly weights change; default 0.999.
        rho: Expectation of ρ in [0, 1]; default 0.999.
        temperature: T > 0, default 0.1.
        seed: Of the draws of ρ; by default drawn from torch's generator at construction.
        scale: See `Weighting`.

    Where we differ: a denominator nearer to 0 than 1e-12 is moved there; a loss that is not finite counts as its last
    finite value; draws are a function of (seed, step), so a restored run draws as the uninterrupted one.

    Source: Bischof and Kraus, "Multi-Objective Loss Balancing for Physics-Informed Deep Learning", arXiv 2110.09813.

    >>> weighting = ReLoBRaLo(2, alpha=0.0, temperature=1.0)
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 1.0], [2.0, 1.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # 2 softmax(2, 1)
    [1.4621, 0.5379]
    """

    step: Int[Tensor, ""]
    seed: Int[Tensor, ""]
    first: Float[Tensor, " N"]
    weights: Float[Tensor, " N"]

    def __init__(
        self,
        num_losses: int,
        *,
        alpha: float = 0.999,
        rho: float = 0.999,
        temperature: float = 0.1,
        seed: int | None = None,
        scale: str = "own",
    ) -> None:
        super().__init__(num_losses, scale=scale)
        require_within(0, 1, alpha=alpha, rho=rho)
        require_above(0, temperature=temperature)
        self.alpha, self.rho, self.temperature = alpha, rho, temperature
        self.register_buffer("seed", draws.new_seed(seed))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("first", torch.ones(num_losses, dtype=torch.float64))
        self.register_buffer("weights", torch.ones(num_losses, dtype=torch.float64))

    @property
    def sums_to(self) -> float:
        return float(self.num_losses)

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        begun = self.step > 0
        self.first.copy_(torch.where(begun, self.first, losses))
        kept = draws.uniform(self.seed, self.step, torch.zeros_like(self.step)) < self.rho
        past = torch.where(kept, self.weights, self._balance(losses, self.first))
        weights = self.alpha * past + (1 - self.alpha) * self._balance(losses, self.last)
        self.weights.copy_(torch.where(begun, weights, self.weights))
        self.step.add_(1)
        return self.weights.clone()

    def _balance(self, losses: Float[Tensor, " N"], then: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return self.num_losses * (ratio(losses, then) / self.temperature).softmax(0)
