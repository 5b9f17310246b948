"""The pass that losses share: statistics of the softmax forward, one sweep of gradients backward.

With `P_c` the derivative of the weighted sum of all losses with respect to `log p_c` at a pixel, `h` that part of it
which concerns the true class alone, and `y` the one-hot label, the gradient of the logits is

    y h + P − p (h + Σ_c P_c).

Region losses enter `P_c` as `p_c (a_c y_c + b_c)`: two numbers a class, which autograd finds on the counts. Both
directions go through the batch a slab of images at a time, so that every intermediate stays in the processor's cache
and no memory is kept for the backward pass, which looks at the logits again. A GPU takes the batch as one slab; a
kernel of its own would take the place of `swept_statistics`, with `plain_statistics` as its oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.losses.base import PixelLoss, Pixels, TrueClassLoss
from dmf.losses.truth import Truth

SLAB = 2**17
"""Elements (pixels x classes) that a processor takes at a time: half a megabyte in float32."""

Statistics = Callable[[Tensor, Truth, Sequence[PixelLoss]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class View:
    """What the losses see of some images."""

    log_p: Float[Tensor, "B C S"]
    p: Float[Tensor, "B C S"]
    hits: Float[Tensor, "B C S"]
    truth: Truth

    @classmethod
    def of(cls, z: Float[Tensor, "B C S"], truth: Truth) -> View:
        """Probabilities, 0 at ignored pixels, and `hits = p y`."""
        log_p = z.log_softmax(1)
        p = log_p.exp() if truth.valid is None else log_p.exp() * truth.valid.unsqueeze(1)
        return cls(log_p, p, p * truth.one_hot, truth)

    def true_class(self) -> Pixels:
        """The true class of every pixel."""
        return Pixels((self.log_p * self.truth.one_hot).sum(1), self.hits.sum(1))

    def sums(self, losses: Sequence[PixelLoss]) -> tuple[Float[Tensor, "3 C"], Float[Tensor, " M"]]:
        """`Σ p y`, `Σ p` and `Σ y` of each class, and the sum of each pixelwise loss."""
        classes = torch.stack([self.hits.sum(2).sum(0), self.p.sum(2).sum(0), self.truth.class_pixels.sum(0)])
        if not losses:
            return classes, classes.new_zeros(0)
        pixels = self.true_class()
        values = (
            loss.value(pixels, self.truth)
            if isinstance(loss, TrueClassLoss)
            else loss.value(self.log_p, self.p, self.truth.one_hot) / loss.num_classes
            for loss in losses
        )
        return classes, torch.stack([self.truth.total(value) for value in values])

    def gradient(
        self, losses: Sequence[PixelLoss], per_count: Float[Tensor, "3 C"], per_value: Float[Tensor, " M"]
    ) -> Float[Tensor, "B C S"]:
        """Gradient of the logits from the derivatives by `(TP, FP, FN)` and by the summed pixelwise losses."""
        y, p = self.truth.one_hot, self.p
        d_tp, d_fp, d_fn = per_count.unsqueeze(-1)
        every = torch.addcmul(d_fp, y, d_tp - d_fp - d_fn).mul_(p)
        pixels = self.true_class()
        true = torch.zeros_like(pixels.p)
        for loss, weight in zip(losses, per_value, strict=True):
            if isinstance(loss, TrueClassLoss):
                true.addcmul_(loss.slope(pixels, self.truth), weight)
            else:
                every.addcmul_(loss.slope(p, y), weight / loss.num_classes)
        pull = every.sum(1).add_(true)
        return every.addcmul_(p, pull.unsqueeze(1), value=-1).addcmul_(y, true.unsqueeze(1))


def finish(classes: Float[Tensor, "3 C"], sums: Float[Tensor, " M"], truth: Truth) -> tuple[Tensor, Tensor, Tensor]:
    """`(TP, FP, FN)` of each class, the mean of each pixelwise loss, and the number of pixels; NaN for a bad label."""
    tp, predicted, present = classes
    pixels = truth.checked(present.sum())
    return torch.stack([tp, predicted - tp, present - tp]) + pixels * 0, sums / pixels, pixels


def plain_statistics(z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
    """Counts and means with autograd's own gradient: of any order, and the oracle of the sweep."""
    counts, means, _ = finish(*View.of(z, truth).sums(losses), truth)
    return counts, means


def swept_statistics(z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
    """Counts and means whose gradient is one analytic sweep."""
    return _Sweep.apply(z, truth, losses)


def slabs(z: Float[Tensor, "B C S"]) -> Iterator[slice]:
    """The batch in parts that fit the cache."""
    whole = z.device.type != "cpu" or torch.compiler.is_compiling()
    step = len(z) if whole else max(1, SLAB // max(1, z[0].numel()))
    return (slice(start, start + step) for start in range(0, len(z), max(1, step)))


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, truth: Truth, losses: Sequence[PixelLoss]) -> tuple[Tensor, Tensor]:
        parts = [View.of(z[slab], truth[slab]).sums(losses) for slab in slabs(z)]
        classes, sums = (torch.stack(part).sum(0) for part in zip(*parts, strict=True))
        counts, means, pixels = finish(classes, sums, truth)
        ctx.save_for_backward(z, pixels)
        ctx.truth = truth
        ctx.losses = losses
        return counts, means

    @staticmethod
    def backward(ctx: Any, per_count: Tensor, per_mean: Tensor) -> tuple[Tensor, None, None]:
        z, pixels = ctx.saved_tensors
        truth, losses = ctx.truth, ctx.losses
        if torch.is_grad_enabled():
            outputs = plain_statistics(z, truth, losses)
            return torch.autograd.grad(outputs, z, (per_count, per_mean), create_graph=True)[0], None, None
        gradient = torch.empty_like(z)
        for slab in slabs(z):
            gradient[slab] = View.of(z[slab], truth[slab]).gradient(losses, per_count, per_mean / pixels)
        return gradient, None, None
