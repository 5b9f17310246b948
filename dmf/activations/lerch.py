"""Lerch's transcendent as activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dmf.activations.registry import ACTIVATIONS
from dmf.activations.series import Series, polynomial
from dmf.checks import require_at_least, require_between


@ACTIVATIONS.register("lerch")
class Lerch(Series):
    """`Φ_K(z, s, a) = Σ_{k=0}^{K-1} z^k / (k + a)^s` with `z = ρ tanh x`: Lerch's transcendent, cut off after K terms.

    tanh and ρ < 1 keep z inside the disc in which the series converges. What is cut off is at most
    `ρ^K / ((1 - ρ) (K + a)^s)` for s >= 0. With the defaults it is `-log(1 - z) / z` to 0.01: positive, increasing,
    convex, from 0.73 to 2.0.

    The loss-fusion paper names Lerch and gives neither formula nor parameters: these are ours, constant in training.

    Shapes: any, returned unchanged.

    Args:
        s: exponent, finite.
        a: offset, more than 0.
        radius: ρ, between 0 and 1.
        terms: K, at least 1.

    Raises:
        ValueError: for a value out of range.

    >>> Lerch(terms=2)(torch.tensor([0.0, 50.0])).tolist()  # 1 + z / 2 at z = 0 and z = 0.8
    [1.0, 1.399999976158142]
    """

    def __init__(self, s: float = 1.0, a: float = 1.0, radius: float = 0.8, terms: int = 16) -> None:
        super().__init__()
        require_between(-math.inf, math.inf, s=s)
        require_between(0, math.inf, a=a)
        require_between(0, 1, radius=radius)
        require_at_least(1, terms=terms)
        self.s, self.a, self.radius, self.terms = s, a, radius, terms
        self.coefficients = tuple((k + a) ** -s for k in range(terms))

    def curve(self, x: Tensor) -> Tensor:
        return polynomial(self.radius * torch.tanh(x), self.coefficients)

    def extra_repr(self) -> str:
        return f"s={self.s}, a={self.a}, radius={self.radius}, terms={self.terms}"
