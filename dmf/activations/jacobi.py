"""A Jacobi polynomial as activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dmf.activations.registry import ACTIVATIONS
from dmf.activations.series import Series, polynomial
from dmf.checks import require_at_least, require_between


@ACTIVATIONS.register("jacobi")
class Jacobi(Series):
    """`P_n^(α,β)(tanh x)`, the Jacobi polynomial of degree n on the interval (-1, 1), into which tanh brings x.

    Bounded, by `C(n + max(α, β), n)` for max(α, β) >= -1/2, with bounded slope; both vanish nowhere but at isolated
    points. Equal α and β with an odd n give an odd function. α = β = 0 is Legendre's, -1/2 Chebyshev's polynomial.

    The loss-fusion paper names Jacobi and gives neither formula nor parameters: these are ours, constant in training.

    Shapes: any, returned unchanged.

    Args:
        degree: n, at least 1.
        alpha, beta: α and β, more than -1.

    Raises:
        ValueError: for a value out of range.

    >>> legendre = Jacobi(degree=2, alpha=0.0, beta=0.0)
    >>> legendre(torch.tensor([0.0, 50.0])).tolist()  # (3 t² − 1) / 2 at t = 0 and t = 1
    [-0.5, 1.0]
    """

    def __init__(self, degree: int = 3, alpha: float = 0.5, beta: float = 0.5) -> None:
        super().__init__()
        require_at_least(1, degree=degree)
        require_between(-1, math.inf, alpha=alpha, beta=beta)
        self.degree, self.alpha, self.beta = degree, alpha, beta
        self.coefficients = jacobi_coefficients(degree, alpha, beta)

    def curve(self, x: Tensor) -> Tensor:
        return polynomial(torch.tanh(x), self.coefficients)

    def extra_repr(self) -> str:
        return f"degree={self.degree}, alpha={self.alpha}, beta={self.beta}"


def jacobi_coefficients(degree: int, alpha: float, beta: float) -> tuple[float, ...]:
    """Of `P_n^(α,β)(t)` in powers of t, lowest first, by the three-term recurrence (DLMF 18.9.1, 18.9.2)."""
    before, current = [1.0], [(alpha - beta) / 2, (alpha + beta + 2) / 2]
    for n in range(2, degree + 1):
        c = 2 * n + alpha + beta
        scale = 2 * n * (n + alpha + beta) * (c - 2)
        linear, constant = (c - 1) * c * (c - 2) / scale, (c - 1) * (alpha**2 - beta**2) / scale
        back = 2 * (n + alpha - 1) * (n + beta - 1) * c / scale
        raised = [0.0, *(linear * value for value in current)]
        for power, value in enumerate(current):
            raised[power] += constant * value
        for power, value in enumerate(before):
            raised[power] -= back * value
        before, current = current, raised
    return tuple(current)
