"""Weights that never change."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from dmf.weightings.base import WEIGHTINGS, Weighting, as_weights


@WEIGHTINGS.register("fixed")
class Fixed(Weighting):
    """w_i as given, 1/N each by default.

    Args:
        num_losses: N.
        weights: N numbers >= 0, not all 0, taken as they are.
        scale: See `Weighting`.

    >>> total, weights = Fixed(2, weights=[1.0, 3.0]).combine(torch.tensor([0.5, 0.25]))
    >>> total.item(), weights.tolist()  # 1 · ½ + 3 · ¼
    (1.25, [1.0, 3.0])
    """

    weights: Float[Tensor, " N"]

    def __init__(self, num_losses: int, *, weights: Sequence[float] | None = None, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        self.register_buffer("weights", as_weights(weights, num_losses, "weights"))
        self._sum = float(self.weights.sum())

    @property
    def sums_to(self) -> float:
        return self._sum

    def weigh(self, observed: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return self.weights


@WEIGHTINGS.register("equal")
class Equal(Fixed):
    """w_i = 1: the plain sum of the losses. It is `fixed` times N, and the same as `fixed` under scale "sum1".

    >>> Equal(2).combine(torch.tensor([0.5, 0.25])).total.item()
    0.75
    """

    def __init__(self, num_losses: int, *, scale: str = "own") -> None:
        super().__init__(num_losses, weights=[1.0] * num_losses, scale=scale)
