"""Several losses of the same logits at the price of little more than one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.losses.base import Counts, Loss, PixelLoss, RegionLoss
from dmf.losses.sweep import Statistics, swept_statistics
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
    soft: Counts | None = None
    hard: Counts | None = None
    means: Iterator[Tensor] = iter(())
    if pixelwise or any(isinstance(loss, RegionLoss) and not loss.hard for loss in losses):
        (tp, fp, fn), values = statistics(z, truth, pixelwise)
        soft = Counts(tp, fp, fn, images=len(z))
        means = iter(values)
    if any(isinstance(loss, RegionLoss) and loss.hard for loss in losses):
        hard = hard_counts(z, truth)

    def value(loss: Loss) -> Tensor:
        if isinstance(loss, RegionLoss):
            counts = hard if loss.hard else soft
            assert counts is not None
            return loss.from_counts(counts)
        return next(means) if isinstance(loss, PixelLoss) else loss(logits, target)

    return torch.stack([value(loss) for loss in losses])


@torch.no_grad()
def hard_counts(z: Float[Tensor, "B C S"], truth: Truth) -> Counts:
    """Counts of the most probable class, the first of equals."""
    winner = z.softmax(1).argmax(1)
    predicted = truth.kept(Truth(winner, truth.num_classes, None, truth.dtype).one_hot)
    tp, found, present = (part.sum((0, 2)) for part in (predicted * truth.one_hot, predicted, truth.one_hot))
    check = truth.checked(present.sum()) * 0
    return Counts(tp + check, found - tp, present - tp, images=len(z))
