"""One pass for any number of losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.losses.base import Counts, Loss, Pixels, ProbabilityLoss, RegionLoss, TrueClassLoss
from dmf.losses.truth import Truth


class FusedLosses(nn.Module):
    """Several losses of the same logits, all from one softmax and one set of counts.

    Shape: as `Loss`; returns `(N,)`, in the order of `losses`.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, "B *spatial"]) -> Float[Tensor, " N"]:
        """Value of every loss."""
        return evaluate(list(self.losses), logits, target)  # type: ignore[arg-type]


def evaluate(
    losses: Sequence[Loss], logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, "B *spatial"]
) -> Float[Tensor, " N"]:
    """Value of every loss, from plain differentiable operations."""
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    z = logits.to(dtype).flatten(2) if logits.ndim > 2 else logits.to(dtype).t().unsqueeze(0)
    truth = Truth(target, losses[0].num_classes, losses[0].ignore_index, dtype)
    log_p = z.log_softmax(1)
    p = log_p.exp()
    y = truth.one_hot
    log_t = log_p.gather(1, truth.index).squeeze(1)
    pixels = Pixels(log_t, log_t.exp(), -log_t.expm1())
    tp = (p * y).sum((0, 2))
    total = p.sum((0, 2)) if truth.valid is None else (p * truth.valid.unsqueeze(1)).sum((0, 2))
    counts = Counts(tp, total - tp, y.sum((0, 2)) - tp, len(z))
    values = []
    for loss in losses:
        if isinstance(loss, RegionLoss):
            values.append(loss.from_counts(counts))
        elif isinstance(loss, TrueClassLoss):
            values.append(truth.total(loss.value(pixels, truth)) / truth.pixels)
        elif isinstance(loss, ProbabilityLoss):
            values.append(truth.total(loss.value(p, y)) / truth.pixels / loss.num_classes)
    return torch.stack(values)
