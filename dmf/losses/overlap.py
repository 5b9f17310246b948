"""Losses that are one less a mean over classes of ratios of counts."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from dmf.losses.families import Counts, Region


class Overlap(Region):
    """`1 − Σ_c w_c T_c` with `T_c = (TP_c + s) / (TP_c + α FP_c + β FN_c + s)`, the Tversky index, and `Σ_c w_c = 1`.

    Whoever is one is spared autograd's steps where loops are compiled (`dmf.losses.direct`), unless it is `hard` or has
    a `from_counts` of its own.
    """

    @abstractmethod
    def ratio(self) -> tuple[float, float, float]:
        """`(α, β, s)`, of which s is above 0."""

    @abstractmethod
    def shares(self, counts: Counts) -> Float[Tensor, " C"]:
        """`w_c`, which may follow from the labels alone: they have no gradient."""

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        return 1 - (self.shares(counts) * tversky_index(counts, *self.ratio())).sum()


def tversky_index(counts: Counts, alpha: float, beta: float, smooth: float) -> Float[Tensor, " C"]:
    """`(TP + s) / (TP + α FP + β FN + s)` of each class: IoU for α = β = 1, Dice (with 2s) for α = β = ½."""
    found = counts.tp + smooth
    return found / found.add(counts.fp, alpha=alpha).add_(counts.fn, alpha=beta)
