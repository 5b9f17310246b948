"""Losses on every class's probability against its one-hot label.

Source of all: Ramani et al., "An Improved Deep Learning Model with Loss functions Fusion for Image Classification",
which takes them on softmax outputs and gives no formula; these are the usual ones. Each can weigh easy negatives down
(`hard_negative_threshold`, see `ProbabilityLoss`).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import require_above
from dmf.losses.base import LOSSES, ProbabilityLoss


@LOSSES.register("mse")
class MeanSquaredErrorLoss(ProbabilityLoss):
    """Mean squared error: `1/(N C) Σ_i Σ_c (p_ic − y_ic)²`.

    Source: Ramani et al.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(MeanSquaredErrorLoss(2)(p.log(), y).item(), 4)  # (2 · ¼² + 2 · ½²) / 4
    0.1562
    """

    def value(
        self, log_p: Float[Tensor, "B C S"], p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]
    ) -> Float[Tensor, "B C S"]:
        return self.emphasise((p - y).square(), p, y)

    def slope(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        return self.emphasise(2 * (p - y) * p, p, y)


@LOSSES.register("smooth_l1")
class SmoothL1Loss(ProbabilityLoss):
    """Smooth L1: `1/(N C) Σ_i Σ_c h(p_ic − y_ic)`, `h(d) = d² / 2β` where `abs(d) < β`, else `abs(d) − β/2`.

    Source: Ramani et al., who name no `beta`; 1 is the usual value. A difference of probabilities never exceeds 1, so
    with β = 1 this is half of `mse`: the two then train alike but for a factor.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(SmoothL1Loss(2)(p.log(), y).item(), 4)  # half of `mse`
    0.0781
    """

    def __init__(self, num_classes: int, *, beta: float = 1.0, **common: Any) -> None:
        super().__init__(num_classes, **common)
        require_above(0, beta=beta)
        self.beta = beta

    def value(
        self, log_p: Float[Tensor, "B C S"], p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]
    ) -> Float[Tensor, "B C S"]:
        return self.emphasise(torch.nn.functional.smooth_l1_loss(p, y, reduction="none", beta=self.beta), p, y)

    def slope(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        return self.emphasise(((p - y) / self.beta).clamp(-1, 1) * p, p, y)


@LOSSES.register("binary_cross_entropy")
class BinaryCrossEntropyLoss(ProbabilityLoss):
    """Binary cross-entropy: `−1/(N C) Σ_i Σ_c y_ic log p_ic + (1 − y_ic) log(1 − p_ic)`.

    Source: Ramani et al. For two classes both terms are the same and it equals cross-entropy. `1 − p` is clipped at
    1e-7, as Keras does; `p` under the true class is not, so that the surest mistake still has its gradient.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(BinaryCrossEntropyLoss(2)(p.log(), y).item(), 4)  # −(2 log ¾ + 2 log ½) / 4
    0.4904
    """

    floor = 1e-7

    def value(
        self, log_p: Float[Tensor, "B C S"], p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]
    ) -> Float[Tensor, "B C S"]:
        true = torch.where(y > 0, y * log_p, 0)
        return self.emphasise(-(true + (1 - y) * (1 - p).clamp_min(self.floor).log()), p, y)

    def slope(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        q = 1 - p
        return self.emphasise((1 - y) * p / torch.where(q >= self.floor, q, torch.inf) - y, p, y)
