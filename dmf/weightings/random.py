"""Random loss weighting (RLW)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf import draws
from dmf.weightings.base import WEIGHTINGS, Weighting


@WEIGHTINGS.register("random")
class RandomWeighting(Weighting):
    """w = softmax(z), z ~ N(0, I) drawn anew at every step. Sums to 1. The litmus test: does a method beat noise?

    Args:
        num_losses: N.
        seed: Of the draws; by default itself drawn from torch's generator at construction. Under
            `torch.distributed` give one, or the same generator state to all ranks.
        scale: See `Weighting`.

    The draws are a function of (seed, step, index), held in buffers, so a restored run draws as the uninterrupted one.
    A permutation of the losses does not permute the weights.

    Source: Lin et al., "Reasonable Effectiveness of Random Weighting", arXiv 2111.10603, algorithm 2.

    >>> one, other = RandomWeighting(2, seed=7), RandomWeighting(2, seed=7)
    >>> losses = torch.tensor([0.5, 0.25])
    >>> weights = one(losses)
    >>> round(weights.sum().item(), 4), torch.equal(weights, other(losses)), torch.equal(weights, one(losses))
    (1.0, True, False)
    """

    seed: Int[Tensor, ""]
    step: Int[Tensor, ""]
    index: Int[Tensor, " N"]

    def __init__(self, num_losses: int, *, seed: int | None = None, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        self.register_buffer("seed", draws.new_seed(seed))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("index", torch.arange(num_losses), persistent=False)

    @property
    def sums_to(self) -> float:
        return 1.0

    def weigh(self, observed: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        weights = draws.normal(self.seed, self.step, self.index).softmax(0)
        self.step.add_(1)
        return weights
