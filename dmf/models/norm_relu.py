"""Batch norm and ReLU as one operation, where a kernel can do it in half the passes over memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from dmf.kernels import shares, spread, usable

BLOCK = 2**15
"""Values of a block of pixels, of which sums are taken: 128 kB in float32."""

DIMENSIONS = {nn.BatchNorm2d: 4, nn.BatchNorm3d: 5}
"""Norms that kernels stand in for, and how many dimensions their input has."""


class NormReLU(nn.Sequential):
    """Batch norm, then ReLU: an `nn.Sequential` of the two, or of a convolution and the two.

    It trains on a processor by kernels of its own: with channels last and in float32 or bfloat16, one pass takes the
    statistics and one normalises and cuts; backward, ReLU's mask is computed again and not kept, and a gradient that is
    part of a concatenation's is read where it lies. Everywhere else the modules do their work one after the other, as
    they do if somebody has put a hook on one of them or changed one for another (`SyncBatchNorm`). Statistics are
    float32 sums over blocks of pixels, added up in float64.
    """

    def forward(self, x: Float[Tensor, "B C *spatial"]) -> Float[Tensor, "B C *spatial"]:
        *before, norm, relu = self
        for module in before:
            x = module(x)
        return _NormReLU.apply(x, norm.weight, norm.bias, norm, False) if fits(x, norm, relu) else relu(norm(x))

    def branched(self, x: Float[Tensor, "B C *spatial"]) -> tuple[Tensor, Tensor]:
        """The output twice, for two ways that it goes on: their gradients are then added up in the same pass."""
        *before, norm, relu = self
        for module in before:
            x = module(x)
        if fits(x, norm, relu):
            out, again = _NormReLU.apply(x, norm.weight, norm.bias, norm, True)
            return out, again
        out = relu(norm(x))
        return out, out


def fits(x: Tensor, norm: Any, relu: Any) -> bool:
    """Whether x can go through the two modules in one operation."""
    return (
        torch.is_grad_enabled()
        and type(norm) in DIMENSIONS
        and type(relu) is nn.ReLU
        and norm.training
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and not (watched(norm) or watched(relu))
        and x.dtype in (torch.float32, torch.bfloat16)
        and norm.weight.dtype == norm.running_mean.dtype == torch.float32
        and x.ndim == DIMENSIONS[type(norm)]
        and x.shape[1] == norm.num_features
        and x.numel() > x.shape[1]
        and x.movedim(1, -1).is_contiguous()
        and usable(x, norm.weight, norm.bias, norm.running_mean)
    )


def watched(module: nn.Module) -> bool:
    """Whether somebody has put a hook on a module."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)  # noqa: SLF001


class _NormReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor, bias: Tensor, norm: Any, twice: bool) -> Any:
        from dmf.kernels import norm as kernels

        rows, block, sums = blocks(y)
        out, linear = torch.empty_like(y), np.empty((4, y.shape[1]), np.float32)
        values, written = flat(y), flat(out)
        spread(lambda part: kernels.moments(values, rows, block, *part, sums), shares(len(sums)))
        affine = weight.detach().numpy(), bias.detach().numpy()
        running = norm.running_mean.numpy(), norm.running_var.numpy()
        kernels.statistics(values, rows, sums, *affine, *running, norm.eps, norm.momentum, linear)
        spread(lambda part: kernels.normalise(values, *part, linear, written), shares(rows))
        norm.num_batches_tracked.add_(1)
        ctx.save_for_backward(y, weight, bias)
        ctx.linear, ctx.eps = linear, norm.eps
        return (out, out.detach()) if twice else out

    @staticmethod
    def backward(ctx: Any, g: Tensor, other: Tensor | None = None) -> tuple[Tensor | None, ...]:
        y, weight, bias = ctx.saved_tensors
        if torch.is_grad_enabled() or not usable(g, *([] if other is None else [other])):
            return *gradient(y, weight, bias, g if other is None else g + other, ctx.eps), None, None
        return *fused_gradient(y, weight, g, other, ctx.linear), None, None


def fused_gradient(
    y: Tensor, weight: Tensor, g: Tensor, other: Tensor | None, linear: NDArray[np.float32]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of y, weight and bias."""
    from dmf.kernels import norm as kernels

    rows, block, sums = blocks(y)
    given, stride = pixels(g.to(y.dtype))
    more = flat(y)[:0] if other is None else pixels(other.to(y.dtype), apart=False)[0]
    out, of_weight, of_bias = torch.empty_like(y), torch.empty_like(weight), torch.empty_like(weight)
    values, written, line = flat(y), flat(out), np.empty((3, y.shape[1]), np.float32)
    spread(
        lambda part: kernels.gradient_sums(values, given, stride, more, rows, block, *part, linear, sums, written),
        shares(len(sums)),
    )
    kernels.slopes(rows, sums, linear, of_weight.numpy(), of_bias.numpy(), line)
    spread(lambda part: kernels.gradient(values, *part, line, written), shares(rows))
    return out, of_weight, of_bias


def gradient(y: Tensor, weight: Tensor, bias: Tensor, g: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The same in torch's operations, to be differentiated again or transformed."""
    dims = [dim for dim in range(y.ndim) if dim != 1]
    wide, gain = y.float(), weight.view(-1, *[1] * (y.ndim - 2))
    centred = wide - wide.mean(dims, keepdim=True)
    inverse = (centred.square().mean(dims, keepdim=True) + eps).rsqrt()
    unit = centred * inverse
    h = g.float() * (unit * gain + bias.view_as(gain) > 0)
    along = (h * unit).mean(dims, keepdim=True)
    back = gain * inverse * (h - h.mean(dims, keepdim=True) - unit * along)
    return back.to(y.dtype), (h * unit).sum(dims), h.sum(dims)


def blocks(y: Tensor) -> tuple[int, int, NDArray[np.float32]]:
    """How many pixels there are, how many of them are a block, and where to put two sums of each block and channel."""
    channels = y.shape[1]
    rows, block = y.numel() // channels, max(1, BLOCK // channels)
    return rows, block, np.empty((-(-rows // block), 2, channels), np.float32)


def flat(x: Tensor) -> NDArray[Any]:
    """The memory of a tensor whose values lie without gaps; bfloat16 as uint16."""
    return memory(x, x.numel())


def memory(x: Tensor, size: int) -> NDArray[Any]:
    """So many values in memory from the first of a tensor on; bfloat16 as uint16."""
    line = x.detach().as_strided((size,), (1,))
    return (line.view(torch.uint16) if x.dtype == torch.bfloat16 else line).numpy()


def pixels(x: Tensor, *, apart: bool = True) -> tuple[NDArray[Any], int]:
    """The memory of a tensor with channels last, and how far its pixels lie apart; of a copy if they do not lie so."""
    channels, last = x.shape[1], x.detach().movedim(1, -1)
    step = last.stride(-2) if apart else channels
    expected, size = [1], step
    for side in reversed(last.shape[:-1]):
        expected.append(size)
        size *= side
    if list(last.stride()) != expected[::-1] or step < channels:
        last, step = last.contiguous(), channels
    return memory(last, (x.numel() // channels - 1) * step + channels), step
