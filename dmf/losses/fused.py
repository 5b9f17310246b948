"""Several losses of the same logits at the price of little more than one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.losses.base import Counts, Loss, PixelLoss, RegionLoss
from dmf.losses.sweep import Statistics, count, swept_statistics
from dmf.losses.truth import Truth, prepare


class FusedLosses(nn.Module):
    """Several losses of the same logits from one softmax, one set of counts and one backward sweep.

    Shape: as `Loss`; returns `(N,)`, in the order of `losses`, equal to evaluating each alone.

    Raises:
        ValueError: if there is no loss, or they disagree about `num_classes` or `ignore_index`.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        super().__init__()
        if not losses:
            raise ValueError("Parameter `losses` must name at least one loss. Found none.")
        for name in ("num_classes", "ignore_index"):
            found = {getattr(loss, name) for loss in losses}
            if len(found) > 1:
                raise ValueError(f"Losses that are fused must share `{name}`. Found {sorted(map(str, found))}.")
        self.losses = nn.ModuleList(losses)

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, " B *spatial"]) -> Float[Tensor, " N"]:
        """Value of every loss."""
        return evaluate(list(self.losses), logits, target)  # type: ignore[arg-type]


def evaluate(
    losses: Sequence[Loss],
    logits: Float[Tensor, "B C *spatial"],
    target: Int[Tensor, " B *spatial"],
    statistics: Statistics = swept_statistics,
) -> Float[Tensor, " N"]:
    """Value of every loss; `statistics` may be `plain_statistics`, by which the sweep is tested."""
    z, truth = prepare(logits, target, losses[0].num_classes, losses[0].ignore_index)
    pixelwise = [loss for loss in losses if isinstance(loss, PixelLoss)]
    if pixelwise or any(isinstance(loss, RegionLoss) and not loss.hard for loss in losses):
        soft, means = statistics(z, truth, pixelwise)
        counts = Counts(*soft, images=len(z))
        mean = iter(means)
    if any(isinstance(loss, RegionLoss) and loss.hard for loss in losses):
        hard = hard_counts(z, truth)

    def value(loss: Loss) -> Tensor:
        if isinstance(loss, RegionLoss):
            return loss.from_counts(hard if loss.hard else counts)
        return next(mean) if isinstance(loss, PixelLoss) else loss(logits, target)

    return torch.stack([value(loss) for loss in losses])


def hard_counts(z: Float[Tensor, "B C S"], truth: Truth) -> Counts:
    """Counts of the most probable class, the first of equals."""
    with torch.no_grad():
        winner = z.softmax(1).argmax(1)
        predicted = Truth(winner, truth.num_classes, None, truth.dtype).one_hot
        if truth.valid is not None:
            predicted = predicted * truth.valid.unsqueeze(1)
        return Counts(*count(predicted, predicted * truth.one_hot, truth), images=len(z))
