"""Losses as the DMF authors' notebook computes them, to be audited, not to be trained with.

Their counts are hard: every pixel goes to its most probable class, so that no gradient reaches the network. Counts
are averaged over the images of a batch, then ratios taken with an epsilon of 1e-7, then the mean over classes.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from dmf.losses.base import REFERENCE, RegionLoss, TrueClassLoss
from dmf.losses.families import Counts, Pixels
from dmf.losses.labels import Labels
from dmf.losses.region import rarity

EPSILON = 1e-7


class HardCountLoss(RegionLoss):
    """A region loss on hard counts; its value carries no gradient."""

    hard = True


def hard_dice(counts: Counts) -> Float[Tensor, " C"]:
    """`2 TP / (2 TP + FP + FN + ε)` on counts per image: 0 for a class that is neither present nor predicted."""
    return 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn + EPSILON * counts.images)


@REFERENCE.register("dice")
class ReferenceDiceLoss(HardCountLoss):
    """`1 − 1/C Σ_c 2 TP_c / (2 TP_c + FP_c + FN_c + 1e-7)`, hard counts. Source: the DMF authors' notebook.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(ReferenceDiceLoss(2)(p.log(), y).item(), 4)  # both are taken for class 0: 1 − (2 / 3 + 0) / 2
    0.6667
    """

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        return 1 - self.over_classes(hard_dice(counts))


@REFERENCE.register("iou")
class ReferenceIoULoss(HardCountLoss):
    """`1 − 1/C Σ_c TP_c / (TP_c + FP_c + FN_c + 1e-7)`, hard counts. Source: the DMF authors' notebook.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(ReferenceIoULoss(2)(p.log(), y).item(), 4)  # both are taken for class 0: 1 − (1 / 2 + 0) / 2
    0.75
    """

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        return 1 - self.over_classes(counts.tp / (counts.tp + counts.fp + counts.fn + EPSILON * counts.images))


@REFERENCE.register("tversky")
class ReferenceTverskyLoss(HardCountLoss):
    """`1 − 1/C Σ_c (TP_c + 1e-7) / (TP_c + 0.7 FP_c + 0.3 FN_c + 1e-7)`, hard counts.

    Alone among the region losses it adds its epsilon above, too: an absent class costs nothing here, 1/C elsewhere.
    Source: the DMF authors' notebook.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(ReferenceTverskyLoss(2)(p.log(), y).item(), 4)  # both are taken for class 0: 1 − (1 / 1.7 + 0) / 2
    0.7059
    """

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        epsilon = EPSILON * counts.images
        return 1 - self.over_classes((counts.tp + epsilon) / (counts.tp + 0.7 * counts.fp + 0.3 * counts.fn + epsilon))


@REFERENCE.register("focal")
class ReferenceFocalLoss(HardCountLoss):
    """`−1/C Σ_c 0.25 (1 − P_c)² log P_c`, `P_c = TP_c / (TP_c + FP_c + 1e-7)` the precision of class c, hard counts.

    Not the focal loss of equation (19): it has one term per class and none per pixel. Infinite as soon as some class
    has no true positive. Source: the DMF authors' notebook.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> ReferenceFocalLoss(2)(p.log(), y).item()  # both are taken for class 0: class 1 has no true positive
    inf
    """

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        precision = counts.tp / (counts.tp + counts.fp + EPSILON * counts.images)
        return self.over_classes(-0.25 * (1 - precision).square() * precision.log())


@REFERENCE.register("cb_dice")
class ReferenceClassBalancedDiceLoss(HardCountLoss):
    """`1 − Σ_c w_c 2 TP_c / (2 TP_c + FP_c + FN_c + 1e-7)`, hard counts, weights as in `cb_dice`.

    Source: the DMF authors' notebook.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(ReferenceClassBalancedDiceLoss(2)(p.log(), y).item(), 4)  # classes of equal size: as `dice`
    0.6667
    """

    balances = True

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        weights = self.reweighed(rarity(counts))
        return 1 - (weights * hard_dice(counts)).sum() / weights.sum()


@REFERENCE.register("cross_entropy")
class ReferenceCrossEntropyLoss(TrueClassLoss):
    """`−1/N Σ_i log clip(p_i, 1e-7, 1 − 1e-7)`: cross-entropy on clipped probabilities, as Keras has it.

    A pixel whose true class is given less than 1e-7 costs 16.1 and sends no gradient. Source: the DMF authors'
    notebook, the only one of its losses that trains the network.

    >>> z, y = torch.tensor([[40.0, -40.0]]), torch.tensor([1])
    >>> round(ReferenceCrossEntropyLoss(2)(z, y).item(), 4)  # −log 1e-7, where cross-entropy is 80
    16.1181
    """

    lowest = math.log(EPSILON)
    highest = math.log1p(-EPSILON)

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return -pixels.log_p.clamp(self.lowest, self.highest)

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        inside = (pixels.log_p >= self.lowest) & (pixels.log_p <= self.highest)
        return -inside.to(pixels.p.dtype)
