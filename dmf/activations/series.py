"""Truncated series with constant coefficients, whose derivatives are series of the same kind.

Only the argument is kept for the backward pass, whatever the number of terms, and derivatives of any order exist. What
a function returns comes of an operation that makes a new tensor: torch 2.11 compiles one that was last written in place
to a gradient of zero.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

Coefficients = tuple[float, ...]


class _Polynomial(torch.autograd.Function):
    """`Σ c_k z^k` by Horner's rule."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, coefficients: Coefficients) -> Tensor:
        total = torch.zeros_like(z)
        for coefficient in coefficients[:0:-1]:
            total.add_(coefficient).mul_(z)
        return total + coefficients[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Coefficients], output: Tensor) -> None:
        z, ctx.coefficients = inputs
        ctx.save_for_backward(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        slope = tuple(k * c for k, c in enumerate(ctx.coefficients))[1:] or (0.0,)
        return gradients[0] * polynomial(ctx.saved_tensors[0], slope), None


class _Waves(torch.autograd.Function):
    """`Σ A_k f(ω_k x)`, f being the cosine's derivative of order `order`: cos, -sin, -cos, sin."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, amplitudes: Coefficients, frequencies: Coefficients, order: int) -> Tensor:
        sign = -1 if order % 4 in (1, 2) else 1
        wave = torch.sin if order % 2 else torch.cos
        total = torch.zeros_like(x)
        for amplitude, frequency in zip(amplitudes, frequencies, strict=True):
            total = torch.add(total, wave(frequency * x), alpha=sign * amplitude)
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Coefficients, Coefficients, int], output: Tensor) -> None:
        x, ctx.amplitudes, ctx.frequencies, ctx.order = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        steeper = tuple(a * f for a, f in zip(ctx.amplitudes, ctx.frequencies, strict=True))
        slope = waves(ctx.saved_tensors[0], steeper, ctx.frequencies, ctx.order + 1)
        return gradients[0] * slope, None, None, None


def polynomial(z: Tensor, coefficients: Coefficients) -> Tensor:
    """`Σ_k coefficients[k] z^k`, of any shape."""
    return cast(Tensor, _Polynomial.apply(z, coefficients))


def waves(x: Tensor, amplitudes: Coefficients, frequencies: Coefficients, order: int = 0) -> Tensor:
    """`Σ_k amplitudes[k] cos(frequencies[k] x)`, or with a higher derivative of the cosine, of any shape."""
    return cast(Tensor, _Waves.apply(x, amplitudes, frequencies, order))


class Series(nn.Module):
    """Base of the activations: computed in float32 at least, returned in the type of the input."""

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        return self.curve(wide).to(x.dtype)

    def curve(self, x: Tensor) -> Tensor:
        """The activation of float32 or float64."""
        raise TypeError(f"{type(self).__name__} defines no `curve`.")
