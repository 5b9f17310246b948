"""From logits to the values of losses and back in one step of autograd, where compiled loops tell all that they need.

That is so if every loss is an `Overlap` or `−log p` of the true class times a polynomial of `1 − p`.
Otherwise torch takes dozens
of operations on a few numbers, and as many backward: together about as long as the loops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dmf.kernels.losses import FOUND, MOMENTS
from dmf.losses.compiled_view import CompiledView, Polynomial, as_float32, combined, degree, inner, told
from dmf.losses.families import Counts, Member, TrueClass
from dmf.losses.fused_pass import by_autograd, plain_statistics, taken_again, watched
from dmf.losses.labels import Labels
from dmf.losses.overlap import Overlap
from dmf.losses.weighted import over_weights, weighted

Array = Any
"""Of numpy."""


class Slopes(NamedTuple):
    """Derivatives of values: those of overlaps by the counts of each class, the pixelwise ones by their sums."""

    by_counts: list[list[list[float]]]
    by_sums: list[float]


@dataclass(frozen=True)
class Plan:
    """Losses as numbers.

    Attributes:
        losses: All of them.
        overlaps, pixelwise: The places of either kind.
        polynomials: The pixelwise ones.
    """

    losses: Sequence[Any]
    overlaps: list[int]
    pixelwise: list[int]
    polynomials: list[Polynomial]

    @classmethod
    def of(cls, losses: Sequence[Member]) -> Self | None:
        """None if some loss needs more."""
        overlaps = [i for i, loss in enumerate(losses) if _is_overlap(loss)]
        pixelwise = [i for i, loss in enumerate(losses) if isinstance(loss, TrueClass)]
        if len(overlaps) + len(pixelwise) < len(losses):
            return None
        polynomials, others = told([weighted(losses[i]) for i in pixelwise])  # type: ignore[arg-type]
        return None if others else cls(losses, overlaps, pixelwise, polynomials)

    def values(self, z: Float[Tensor, "B C S"], labels: Labels) -> Float[Tensor, " N"]:
        """Of all losses; NaN if a label is none."""
        values: Tensor = _Direct.apply(z, labels, self)
        return values

    def plain(self, z: Float[Tensor, "B C S"], labels: Labels) -> Float[Tensor, " N"]:
        """The same by autograd's own steps."""
        (tp, fp, fn), means = plain_statistics(z, labels, [weighted(self.losses[i]) for i in self.pixelwise])
        soft = Counts(tp, fp, fn, images=len(z))
        values = {i: self.losses[i].from_counts(soft) for i in self.overlaps}
        values |= {i: over_weights(self.losses[i], mean, labels) for i, mean in zip(self.pixelwise, means, strict=True)}
        return torch.stack([values[i] for i in range(len(values))])

    def evaluate(self, sums: Array, images: int) -> tuple[list[float], Slopes]:
        """Values and their derivatives; `sums` are those of `dmf.kernels.losses.look`."""
        found, moments = sums[FOUND].tolist(), sums[MOMENTS:].T.tolist()
        counts = sums[:FOUND] + 0 * sums[FOUND].sum()  # NaN if a label is none
        values, slopes = [0.0] * len(self.losses), Slopes([], [])
        for i, rows in zip(self.pixelwise, self.polynomials, strict=True):
            table = self.losses[i].table
            weights = found if table is None else [w * n for w, n in zip(table.tolist(), found, strict=True)]
            slopes.by_sums.append(1 / (sum(weights) or math.inf))
            values[i] = inner(rows, moments) * slopes.by_sums[-1]
        (tp, fp, fn), lists = torch.from_numpy(counts), counts.T.tolist()
        tensors = Counts(tp, fp, fn, images)
        for i in self.overlaps:
            shares = self.losses[i].shares(tensors).tolist()
            values[i], by_counts = _overlap(lists, shares, *self.losses[i].ratio())
            slopes.by_counts.append(by_counts)
        return values, slopes


def _overlap(
    counts: list[list[float]], shares: list[float], alpha: float, beta: float, smooth: float
) -> tuple[float, list[list[float]]]:
    """`1 − Σ_c w_c T_c`, and its derivatives by TP, FP and FN of each class."""
    value, slopes = 1.0, []
    for (tp, fp, fn), share in zip(counts, shares, strict=True):
        above, more = tp + smooth, alpha * fp + beta * fn
        whole = above + more
        value -= share * above / whole
        slope = share / (whole * whole)
        slopes.append([-slope * more, alpha * slope * above, beta * slope * above])
    return value, slopes


def _is_overlap(loss: Member) -> bool:
    return isinstance(loss, Overlap) and not loss.hard and type(loss).from_counts is Overlap.from_counts


class _Direct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, labels: Labels, plan: Plan) -> Float[Tensor, " N"]:
        values, ctx.slopes = plan.evaluate(CompiledView(z, labels).look(degree(plan.polynomials)), len(z))
        ctx.save_for_backward(z, *watched(labels))
        ctx.labels, ctx.plan = labels, plan
        return as_float32(values)

    @staticmethod
    def backward(ctx: Any, per_value: Tensor) -> tuple[Tensor, None, None]:
        (z, *_), plan = ctx.saved_tensors, ctx.plan
        if by_autograd(z, per_value):
            return taken_again(lambda: plan.plain(z, ctx.labels), z, per_value), None, None
        weights, (by_counts, by_sums) = per_value.tolist(), ctx.slopes
        per_count = np.zeros((z.shape[1], 3))
        for i, slopes in zip(plan.overlaps, by_counts, strict=True):
            per_count += weights[i] * np.array(slopes)
        powers = combined(plan.polynomials, [weights[i] * n for i, n in zip(plan.pixelwise, by_sums, strict=True)])
        gradient = torch.empty_like(z)
        CompiledView(z, ctx.labels).write(per_count.T.astype(np.float32, order="C"), powers, out=gradient)
        return gradient, None, None
