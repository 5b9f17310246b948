"""Functions of the losses alone that make one number of them, as TorchJD has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.weightings.base import CarryingWeighting, Combination, Shared, differentiating
from dmf.weightings.torchjd import KINDS, build_method


@KINDS.register("scalarization")
class TorchJDScalarization(CarryingWeighting):
    """Any of TorchJD's scalarizations: COSMOS, GeometricMean, IMTLL, PBI, STCH, UW. total = s(L_1, ..., L_N).

    The weights are w_i = ∂s/∂L_i by automatic differentiation. They may be negative (PBI, COSMOS) and have no fixed
    sum. What is learned (of IMTLL and UW) are parameters: give them to the optimiser together with the network's.

    Where we differ: s is computed in float64. A loss that is not finite counts in s as its last finite value. If a
    weight is not finite (GeometricMean of a loss that is 0), each loss has weight 1/N. Under `torch.distributed` s is
    taken at the mean losses over all ranks, and each rank adds w · (its own losses - the mean ones), so that all ranks
    have the same weights and learn the same.

    Args:
        num_losses: N.
        method: TorchJD's name: "STCH", "IMTLL", ...
        scale: See `Weighting`.
        params: Arguments of TorchJD's class but for `shape`, which is N; a list stands for a tensor.

    Raises:
        ImportError: without TorchJD, saying what to install.
        ValueError: for a method that TorchJD does not have, that is refused, or that cannot take the parameters.

    >>> weighting = TorchJDScalarization(2, method="GeometricMean")
    >>> total, weights = weighting.combine(torch.tensor([1.0, 4.0]))
    >>> round(total.item(), 4), [round(weight, 4) for weight in weights.tolist()]  # G = √(1 · 4); w = G / (2 L)
    (2.0, [1.0, 0.25])
    """

    def __init__(self, num_losses: int, *, method: str, scale: str = "own", **params: Any) -> None:
        super().__init__(num_losses, scale=scale)
        self.method = method
        self.scalarizer = build_method(method, num_losses, params)
        for name, value in list(vars(self.scalarizer).items()):
            if isinstance(value, Tensor):  # as a buffer it follows to the device
                delattr(self.scalarizer, name)
                self.scalarizer.register_buffer(name, value, persistent=False)

    @property
    def sums_to(self) -> None:
        return None

    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        with differentiating():
            leaf = losses.clone().requires_grad_()
            (weights,) = torch.autograd.grad(self.scalarizer(leaf), leaf)
        return torch.where(weights.isfinite().all(), weights, 1 / self.num_losses)

    def _combine(self, losses: Float[Tensor, " N"], shared: Shared, each: Iterable[Tensor]) -> Combination:
        weights = self(losses)
        value = self.scalarizer(self.last.clone()).to(losses.dtype)
        return Combination(value + (weights * (losses - self.last.to(losses.dtype))).sum(), weights)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self.method!r}"
