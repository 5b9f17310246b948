"""The pass that losses share: statistics of the softmax forward, one sweep of gradients backward.

With `P_c` the derivative of the weighted sum of all losses with respect to `log p_c` at a pixel, `h` that part of it
which concerns the true class alone, and `y` the one-hot label, the gradient of the logits is

    y h + P − p (h + Σ_c P_c).

Region losses enter `P_c` as `p_c (a_c y_c + b_c)`: two numbers a class, which autograd finds on the counts. So the
backward pass reads `p` and `y` once and writes the gradient once, however many losses there are. On two cores this
takes about as long as cross-entropy alone (`benchmarks/losses.py`); a fused kernel would take the place of
`swept_statistics`, with `plain_statistics` as its oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.losses.base import PixelLoss, Pixels, TrueClassLoss
from dmf.losses.truth import Truth


class Measured(NamedTuple):
    """What one look at the logits yields: counts (TP, FP, FN), means of the pixelwise losses, and probabilities."""

    soft: Float[Tensor, "3 C"]
    means: Float[Tensor, " M"]
    p: Float[Tensor, "B C S"]
    pixels: Pixels


Statistics = Callable[[Tensor, Truth, Sequence[PixelLoss]], tuple[Tensor, Tensor]]


def measure(z: Float[Tensor, "B C S"], truth: Truth, losses: Sequence[PixelLoss]) -> Measured:
    """Probabilities, counts and means from one log-softmax, in operations that autograd can differentiate."""
    y = truth.one_hot
    log_p = z.log_softmax(1)
    p = log_p.exp() if truth.valid is None else log_p.exp() * truth.valid.unsqueeze(1)
    hits = p * y
    pixels = Pixels((log_p * y).sum(1), hits.sum(1))

    def mean(loss: PixelLoss) -> Tensor:
        if isinstance(loss, TrueClassLoss):
            return truth.mean(loss.value(pixels, truth))
        return truth.mean(loss.value(log_p, p, y))

    means = torch.stack([mean(loss) for loss in losses]) if losses else z.new_zeros(0)
    return Measured(count(p, hits, truth), means, p, pixels)


def count(p: Float[Tensor, "B C S"], hits: Float[Tensor, "B C S"], truth: Truth) -> Float[Tensor, "3 C"]:
    """TP, FP and FN of each class from `p` and `p y`; NaN if some label is not a class."""
    tp = hits.sum(2).sum(0)
    fp = p.sum(2).sum(0) - tp
    fn = truth.class_pixels.sum(0) - tp
    return torch.stack([tp, fp, fn]) + truth.pixels * 0


def plain_statistics(z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
    """Counts and means with autograd's own gradient: of any order, and the oracle of the sweep."""
    measured = measure(z, truth, losses)
    return measured.soft, measured.means


def swept_statistics(z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
    """Counts and means whose gradient is one analytic sweep."""
    return _Sweep.apply(z, truth, losses)


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
        measured = measure(z, truth, losses)
        ctx.save_for_backward(z, measured.p, measured.pixels.log_p, measured.pixels.p)
        ctx.truth = truth
        ctx.losses = losses
        ctx.set_materialize_grads(False)
        return measured.soft, measured.means

    @staticmethod
    def backward(ctx: Any, d_soft: Tensor | None, d_means: Tensor | None) -> tuple[Tensor, None, None]:
        z, p, log_true, p_true = ctx.saved_tensors
        if torch.is_grad_enabled() and not (d_soft is None and d_means is None):
            return differentiable_gradient(z, ctx.truth, ctx.losses, d_soft, d_means), None, None
        return sweep(p, Pixels(log_true, p_true), ctx.truth, ctx.losses, d_soft, d_means), None, None


def sweep(
    p: Float[Tensor, "B C S"],
    pixels: Pixels,
    truth: Truth,
    losses: Sequence[PixelLoss],
    d_soft: Float[Tensor, "3 C"] | None,
    d_means: Float[Tensor, " M"] | None,
) -> Float[Tensor, "B C S"]:
    """Gradient of the logits from the derivatives by counts and by means."""
    y = truth.one_hot
    every: Tensor | None = None
    true: Tensor | None = None
    if d_soft is not None:
        d_tp, d_fp, d_fn = d_soft.unsqueeze(-1)
        every = torch.addcmul(d_fp, y, d_tp - d_fp - d_fn).mul_(p)
    for loss, weight in zip(losses, () if d_means is None else d_means / truth.pixels, strict=False):
        if isinstance(loss, TrueClassLoss):
            slope = loss.slope(pixels, truth) * weight
            true = slope if true is None else true.add_(slope)
        else:
            slope = loss.slope(p, y) * (weight / truth.num_classes)
            every = slope if every is None else every.add_(slope)
    if every is None:
        return torch.zeros_like(p) if true is None else (y - p).mul_(true.unsqueeze(1))
    pull = every.sum(1) if true is None else every.sum(1).add_(true)
    gradient = torch.addcmul(every, p, pull.unsqueeze(1), value=-1)
    return gradient if true is None else gradient.addcmul_(y, true.unsqueeze(1))


def differentiable_gradient(
    z: Tensor, truth: Truth, losses: Sequence[PixelLoss], d_soft: Tensor | None, d_means: Tensor | None
) -> Tensor:
    """The same gradient through autograd, for `create_graph=True`."""
    pairs = zip(plain_statistics(z, truth, losses), (d_soft, d_means), strict=True)
    outputs, weights = zip(*((output, weight) for output, weight in pairs if weight is not None), strict=True)
    return torch.autograd.grad(outputs, z, weights, create_graph=True)[0]
