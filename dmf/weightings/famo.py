"""Fast adaptive multitask optimisation (FAMO)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.checks import require_at_least
from dmf.weightings.base import WEIGHTINGS, CarryingWeighting

EPSILON = 1e-8
BETAS = (0.9, 0.999)


@WEIGHTINGS.register("famo")
class FAMO(CarryingWeighting):
    """Let all losses fall at one relative rate: w_i = c z_i / D_i, D = max(L, 0) + 1e-8, c = 1 / Σ_j z_j / D_j.

    z = softmax(ξ); ξ takes an Adam step (its gradient plus `weight_decay` ξ) along ∂(z·δ)/∂ξ = z (δ - z·δ) with
    δ = log D(t-1) - log D(t): a loss that fell more than the others loses weight. Sums to 1.

    Args:
        num_losses: N.
        learning_rate: Of ξ, >= 0, default 0.025 (the paper's).
        weight_decay: Of ξ, >= 0, default 1e-3 (the paper's algorithm 2).
        scale: See `Weighting`.

    Where we differ: δ compares the losses of successive batches; the paper evaluates the batch a second time after the
    step, one more forward pass. The paper's total is c Σ_i z_i log D_i with c a constant, whose gradient these weights
    are; as a number ours is Σ_i w_i L_i. A loss that is not finite counts as its last finite value in the weights.

    Source: Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, algorithm 2.

    >>> weighting = FAMO(2)
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 3.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # at first, in inverse proportion to the losses
    [0.75, 0.25]
    """

    step: Int[Tensor, ""]
    logits: Float[Tensor, " N"]
    first_moment: Float[Tensor, " N"]
    second_moment: Float[Tensor, " N"]

    def __init__(
        self, num_losses: int, *, learning_rate: float = 0.025, weight_decay: float = 1e-3, scale: str = "own"
    ) -> None:
        super().__init__(num_losses, scale=scale)
        require_at_least(0, learning_rate=learning_rate, weight_decay=weight_decay)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        for name in ("logits", "first_moment", "second_moment"):
            self.register_buffer(name, torch.zeros(num_losses, dtype=torch.float64))

    @property
    def sums_to(self) -> float:
        return 1.0

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        distance = losses.clamp(min=0.0) + EPSILON
        self._learn(torch.log(self.last.clamp(min=0.0) + EPSILON) - torch.log(distance))
        self.step.add_(1)
        weights = self.logits.softmax(0) / distance
        return weights / weights.sum()

    def _learn(self, fall: Float[Tensor, " N"]) -> None:
        """One Adam step on the logits; none at the first step, when nothing has fallen yet."""
        begun = self.step > 0
        shares = self.logits.softmax(0)
        gradient = shares * (fall - (shares * fall).sum()) + self.weight_decay * self.logits
        gradient = torch.where(begun, gradient, 0.0)
        self.first_moment.lerp_(gradient, 1 - BETAS[0])
        self.second_moment.lerp_(gradient.square(), 1 - BETAS[1])
        steps = self.step.clamp(min=1).to(fall.dtype)
        mean = self.first_moment / (1 - BETAS[0] ** steps)
        root = (self.second_moment / (1 - BETAS[1] ** steps)).sqrt()
        self.logits.sub_(self.learning_rate * mean / (root + EPSILON))
