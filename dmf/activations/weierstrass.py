"""Weierstrass's function as activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dmf.activations.registry import ACTIVATIONS
from dmf.activations.series import Series, waves
from dmf.checks import require, require_at_least, require_between


@ACTIVATIONS.register("weierstrass")
class Weierstrass(Series):
    """`W_K(x) = Σ_{k=0}^{K-1} a^k cos(b^k π x)`, Weierstrass's nowhere differentiable function, cut off: a smooth one.

    Even, bounded by `1 / (1 - a)`, with slopes up to `π ((a b)^K - 1) / (a b - 1)`. b is an integer, so that the
    function repeats itself every 2 units: x is brought into [-1, 1] first, where no term loses its phase. From 2^24 on
    (2^53 in float64) all floating-point numbers are even integers, of value `Σ a^k` and slope 0, and so are infinities.

    The loss-fusion paper names Weierstrass and gives neither formula nor parameters: these are ours, constant in
    training.

    Shapes: any, returned unchanged.

    Args:
        a: between 0 and 1.
        b: integer, at least 1; without the cut, W is nowhere differentiable for a b >= 1.
        terms: K, at least 1; b**(terms - 1) at most 2**16, beyond which float32 cannot tell phases.

    Raises:
        ValueError: for a value out of range.

    >>> [round(value, 4) for value in Weierstrass()(torch.tensor([0.0, 1.0])).tolist()]  # ±(1 + ½ + ¼ + ⅛)
    [1.875, -1.875]
    """

    def __init__(self, a: float = 0.5, b: int = 3, terms: int = 4) -> None:
        super().__init__()
        require_between(0, 1, a=a)
        require_at_least(1, b=b, terms=terms)
        fits = b == int(b) and b ** (terms - 1) <= 2**16
        require(fits, "b", b, "an integer with b**(terms - 1) at most 2**16")
        self.a, self.b, self.terms = a, b, terms
        self.amplitudes = tuple(a**k for k in range(terms))
        self.frequencies = tuple(math.pi * b**k for k in range(terms))

    def curve(self, x: Tensor) -> Tensor:
        largest = 2 / torch.finfo(x.dtype).eps
        x = x.clamp(-largest, largest)
        return waves(x - 2 * torch.round(x.detach() / 2), self.amplitudes, self.frequencies)

    def extra_repr(self) -> str:
        return f"a={self.a}, b={self.b}, terms={self.terms}"
