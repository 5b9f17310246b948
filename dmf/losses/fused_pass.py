"""The pass that losses share: statistics of the logits forward, gradients backward.

Both directions go through the batch a chunk of images at a time, so that every intermediate stays in the processor's
cache, and no memory is kept for the backward pass, which looks at the logits again. On a processor compiled loops do so
where they can; a GPU takes the batch as one chunk. `plain_statistics` is the oracle of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.kernels import transformed, usable
from dmf.losses.families import Pixelwise, Probability
from dmf.losses.labels import Labels
from dmf.losses.views import BinaryView, SoftmaxView, Sums, View

CHUNK = 2**17
"""Pixels that a processor takes at a time: half a megabyte a class in float32."""

Statistics = Callable[[Tensor, Labels, Sequence[Pixelwise]], tuple[Tensor, Tensor]]


def plain_statistics(z: Tensor, labels: Labels, losses: Sequence[Pixelwise]) -> tuple[Tensor, Tensor]:
    """Counts and means with autograd's own gradient: of any order, and the oracle of the fused pass."""
    sums = SoftmaxView.of(z, labels).sums(losses)
    pixels = sums.pixels.clamp_min(1)
    return sums.counts + pixels * 0, sums.values / pixels


def fused_statistics(z: Tensor, labels: Labels, losses: Sequence[Pixelwise]) -> tuple[Tensor, Tensor]:
    """`(TP, FP, FN)` of each class and the mean of each pixelwise loss; their gradient is analytic."""
    if transformed():
        return plain_statistics(z, labels, losses)
    return _FusedPass.apply(z, labels, losses)


def views(z: Float[Tensor, "B C S"], labels: Labels, losses: Sequence[Pixelwise]) -> Iterator[tuple[slice, View]]:
    """The batch in parts that fit the cache, each in the cheapest view that shows the losses what they need."""
    view: Callable[[Tensor, Labels], View] = SoftmaxView.of
    if not any(isinstance(loss, Probability) for loss in losses):
        if readable(z, labels):
            from dmf.losses.compiled_view import CompiledView, told

            view = CompiledView
            if not told(losses)[1]:  # no array is made that would have to fit
                yield slice(None), view(z, labels)
                return
        elif labels.num_classes == 2:
            view = BinaryView.of
    whole = z.device.type != "cpu" or torch.compiler.is_compiling()
    step = max(1, len(z) if whole else CHUNK // max(1, z.shape[2]))
    for start in range(0, len(z), step):
        chunk = slice(start, start + step)
        yield chunk, view(z[chunk], labels[chunk])


def readable(z: Float[Tensor, "B C S"], labels: Labels) -> bool:
    """Whether compiled loops may read these: float32, class by class or pixel by pixel."""
    return z.dtype == torch.float32 and in_rows(z) and usable(z, labels.given)


def in_rows(z: Float[Tensor, "B C *spatial"]) -> bool:
    """Whether logits lie class by class or pixel by pixel in memory."""
    return z.is_contiguous() or z.movedim(1, -1).is_contiguous()


def by_autograd(z: Tensor, *slopes: Tensor) -> bool:
    """Whether a gradient of z is to be derived again, or several are asked for as one batch, which no loop can do."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return torch.is_grad_enabled()
    keys = torch._C._dispatch_keys(z)  # noqa: SLF001
    return any(keys | torch._C._dispatch_keys(slope) != keys for slope in slopes)  # noqa: SLF001


def taken_again(outputs: Callable[[], Any], z: Tensor, slopes: Any) -> Tensor:
    """The gradient of z by autograd's own steps, from outputs that are computed anew and their slopes."""
    with torch.enable_grad():
        found = outputs()
    return torch.autograd.grad(found, z, slopes, create_graph=torch.is_grad_enabled())[0]


def watched(labels: Labels) -> list[Tensor]:
    """The labels, for autograd to complain of changes in place; those of inference mode it does not take."""
    return [] if labels.given.is_inference() else [labels.given]


class _FusedPass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, labels: Labels, losses: Sequence[Pixelwise]) -> tuple[Tensor, Tensor]:
        parts = [view.sums(losses) for _, view in views(z, labels, losses)]
        sums = parts[0] if len(parts) == 1 else Sums(*(torch.stack(each).sum(0) for each in zip(*parts, strict=True)))
        pixels = sums.pixels.clamp_min(1)
        ctx.save_for_backward(z, pixels, *watched(labels))
        ctx.labels = labels
        ctx.losses = losses
        return sums.counts + pixels * 0, sums.values / pixels

    @staticmethod
    def backward(ctx: Any, per_count: Tensor, per_mean: Tensor) -> tuple[Tensor, None, None]:
        z, pixels, *_ = ctx.saved_tensors
        with torch.autocast(z.device.type, enabled=False):  # that of the caller would take products in half precision
            return _FusedPass.gradient(z, pixels, ctx.labels, ctx.losses, per_count, per_mean), None, None

    @staticmethod
    def gradient(
        z: Tensor, pixels: Tensor, labels: Labels, losses: Sequence[Pixelwise], per_count: Tensor, per_mean: Tensor
    ) -> Tensor:
        """Of the logits."""
        if by_autograd(z, per_count, per_mean):
            return taken_again(lambda: plain_statistics(z, labels, losses), z, (per_count, per_mean))
        gradient = torch.empty_like(z)
        for chunk, view in views(z, labels, losses):
            view.gradient(losses, per_count, per_mean / pixels, out=gradient[chunk])
        return gradient
