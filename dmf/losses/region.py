"""Losses on counts per class: how well predicted and true regions overlap.

Counts run over the whole batch: a class counts once, however its pixels are spread over the images. `smooth` pixels
are added to numerator and denominator. A class that is neither present nor predicted then scores 1, as it should. One
that is absent but predicted scores `smooth / (FP + smooth)`, near 0 as in the equation, and sends almost no gradient:
its false positives are already the missed pixels of the classes that are present.
"""

from __future__ import annotations

import math
from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import require, require_at_least
from dmf.losses.base import LOSSES, STABLE, Common, RegionLoss
from dmf.losses.families import Counts
from dmf.losses.overlap import Overlap, tversky_index

SMOOTH = 1e-6
LEAST = torch.finfo(torch.float32).tiny
"""What smooths at least: less is 0 where counts are."""


class SmoothedRegionLoss(RegionLoss):
    """A region loss whose ratios are smoothed by `smooth` pixels."""

    def __init__(self, num_classes: int, *, smooth: float = SMOOTH, **common: Unpack[Common]) -> None:
        super().__init__(num_classes, **common)
        fits = LEAST <= smooth < math.inf
        require(fits, "smooth", smooth, f"at least {LEAST:.2g} and finite: without it an absent class gives 0/0")
        self.smooth = smooth

    def dice(self, counts: Counts) -> Float[Tensor, " C"]:
        """`(2 TP + s) / (2 TP + FP + FN + s)` of each class."""
        return tversky_index(counts, 0.5, 0.5, self.smooth / 2)


class OverlapLoss(SmoothedRegionLoss, Overlap):
    """Such a loss of one ratio a class, of which the classes that count have equal shares, or those they were given."""

    def ratio(self) -> tuple[float, float, float]:
        return 0.5, 0.5, self.smooth / 2

    def shares(self, counts: Counts) -> Float[Tensor, " C"]:
        if self.table is None:
            return torch.full_like(counts.tp, 1 / len(counts.tp))
        return (self.table / self.table.sum()).to(counts.tp.dtype)


@LOSSES.register("iou")
class IoULoss(OverlapLoss):
    """Mean intersection over union: `1 − 1/C Σ_c (TP_c + s) / (TP_c + FP_c + FN_c + s)`.

    Source: DMF (BSPC 111:108388, 2026), equation (17), on soft counts; the smoothing `s` is ours (`smooth`, 1e-6).

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(IoULoss(2)(p.log(), y).item(), 4)  # 1 − (0.75 / 1.5 + 0.5 / 1.25) / 2
    0.55
    """

    def ratio(self) -> tuple[float, float, float]:
        return 1, 1, self.smooth


@LOSSES.register("dice")
class DiceLoss(OverlapLoss):
    """Mean Dice: `1 − 1/C Σ_c (2 TP_c + s) / (2 TP_c + FP_c + FN_c + s)`.

    Source: DMF (BSPC 111:108388, 2026), equation (18), on soft counts; the smoothing `s` is ours (`smooth`, 1e-6).

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(DiceLoss(2)(p.log(), y).item(), 4)  # 1 − (1.5 / 2.25 + 1 / 1.75) / 2
    0.381
    """


@LOSSES.register("tversky")
class TverskyLoss(OverlapLoss):
    """Tversky: `1 − 1/C Σ_c (TP_c + s) / (TP_c + α FP_c + β FN_c + s)`.

    `alpha` weighs false positives (0.7) and `beta` false negatives (0.3), as in the authors' code: the paper gives no
    values. Source: DMF (BSPC 111:108388, 2026), equation (20), on soft counts; the smoothing `s` is ours (`smooth`,
    1e-6).

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(TverskyLoss(2)(p.log(), y).item(), 4)  # 1 − (0.75 / 1.175 + 0.5 / 0.825) / 2
    0.3778
    """

    def __init__(
        self,
        num_classes: int,
        *,
        alpha: float = 0.7,
        beta: float = 0.3,
        smooth: float = SMOOTH,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, smooth=smooth, **common)
        require_at_least(0, alpha=alpha, beta=beta)
        require(alpha + beta > 0, "alpha", alpha, "more than 0 where `beta` is 0")
        self.alpha = alpha
        self.beta = beta

    def ratio(self) -> tuple[float, float, float]:
        return self.alpha, self.beta, self.smooth


def rarity(counts: Counts) -> Float[Tensor, " C"]:
    """`1 / (r_c + 1e-6)`, `r_c` the share of class c among the pixels: a function of the labels, without gradient."""
    pixels = (counts.tp + counts.fn).detach()
    return 1 / (pixels / pixels.sum().clamp_min(1) + 1e-6)


@LOSSES.register("cb_dice")
class ClassBalancedDiceLoss(OverlapLoss):
    """Class-balanced Dice: `1 − Σ_c w_c Dice_c` with `w_c = (r_c + 1e-6)⁻¹ / Σ_k (r_k + 1e-6)⁻¹`.

    `r_c` is the share of class c among the pixels of the batch, so rare classes weigh more. Source: DMF (BSPC
    111:108388, 2026), equations (21) to (25); its prose ("subtracting the ratio from 1") contradicts equation (22),
    which is followed. Soft counts; the 1e-6 is the authors' code's, the smoothing of Dice ours (`smooth`, 1e-6).

    A class absent from the batch has ratio 0 and takes nearly all the weight: the loss is then near 1 and flat. The
    fidelity `stable` mends that.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 0, 1])
    >>> round(ClassBalancedDiceLoss(2)(p.log(), y).item(), 4)  # 1 − (⅓ 3 / 4 + ⅔ 1 / 2), the rarer class weighs twice
    0.4167
    """

    balances = True

    def shares(self, counts: Counts) -> Float[Tensor, " C"]:
        weights = self.reweighed(rarity(counts))
        return weights / weights.sum()


@STABLE.register("cb_dice")
class PresentClassBalancedDiceLoss(OverlapLoss):
    """Class-balanced Dice over the classes that are present: `w_c = 0` where `r_c = 0`, otherwise as in `cb_dice`.

    Source: DMF (BSPC 111:108388, 2026), equations (21) to (25), mended: a batch without lesions would otherwise hand
    nearly all the weight to the class that is not there. Where no class that counts is there, all count alike.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 0])
    >>> round(PresentClassBalancedDiceLoss(2)(p.log(), y).item(), 4)  # 1 − 3 / 3.5, of the one class that is there
    0.1429
    """

    balances = True

    def shares(self, counts: Counts) -> Float[Tensor, " C"]:
        weights = self.reweighed(rarity(counts)) * ((counts.tp + counts.fn).detach() > 0.5)
        without = self.reweighed(torch.ones_like(weights))
        return torch.where(weights.sum() > 0, weights / weights.sum(), without / without.sum())
