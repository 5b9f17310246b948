"""The pass that losses share: statistics of the logits forward, one sweep of gradients backward.

Both directions go through the batch a slab of images at a time, so that every intermediate stays in the processor's
cache, and no memory is kept for the backward pass, which looks at the logits again. A GPU takes the batch as one slab;
a kernel of its own would take the place of `swept_statistics`, with `plain_statistics` as its oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.losses.base import PixelLoss
from dmf.losses.truth import Truth
from dmf.losses.views import SoftmaxView, Sums, view_of

SLAB = 2**17
"""Pixels that a processor takes at a time: half a megabyte a class in float32."""

Statistics = Callable[[Tensor, Truth, Sequence[PixelLoss]], tuple[Tensor, Tensor]]


def plain_statistics(z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
    """Counts and means with autograd's own gradient: of any order, and the oracle of the sweep."""
    sums = SoftmaxView.of(z, truth).sums(losses)
    pixels = truth.checked(sums.found)
    return sums.counts + pixels * 0, sums.values / pixels


def swept_statistics(z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
    """`(TP, FP, FN)` of each class and the mean of each pixelwise loss; their gradient is one analytic sweep."""
    return _Sweep.apply(z, truth, losses)


def slabs(z: Float[Tensor, "B C S"]) -> Iterator[slice]:
    """The batch in parts that fit the cache."""
    whole = z.device.type != "cpu" or torch.compiler.is_compiling()
    step = max(1, len(z) if whole else SLAB // max(1, z.shape[2]))
    return (slice(start, start + step) for start in range(0, len(z), step))


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
        view = view_of(losses, truth.num_classes)
        parts = [view.of(z[slab], truth[slab]).sums(losses) for slab in slabs(z)]
        sums = Sums(*(torch.stack(part).sum(0) for part in zip(*parts, strict=True)))
        pixels = truth.checked(sums.found)
        ctx.save_for_backward(z, pixels)
        ctx.truth = truth
        ctx.losses = losses
        return sums.counts + pixels * 0, sums.values / pixels

    @staticmethod
    def backward(ctx: Any, per_count: Tensor, per_mean: Tensor) -> tuple[Tensor, None, None]:
        z, pixels = ctx.saved_tensors
        truth, losses = ctx.truth, ctx.losses
        if torch.is_grad_enabled():
            outputs = plain_statistics(z, truth, losses)
            return torch.autograd.grad(outputs, z, (per_count, per_mean), create_graph=True)[0], None, None
        gradient = torch.empty_like(z)
        view = view_of(losses, truth.num_classes)
        for slab in slabs(z):
            view.of(z[slab], truth[slab]).gradient(losses, per_count, per_mean / pixels, out=gradient[slab])
        return gradient, None, None
