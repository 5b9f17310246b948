"""The Mittag-Leffler function as activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dmf.activations.registry import ACTIVATIONS
from dmf.activations.series import Series, polynomial
from dmf.checks import require_at_least, require_between


@ACTIVATIONS.register("mittag_leffler")
class MittagLeffler(Series):
    """`E_{α,K}(z) = Σ_{k=0}^{K-1} z^k / Γ(α k + 1)` with `z = c tanh(x / c)`: Mittag-Leffler's function, cut off.

    For small x the argument is x itself, for large x it stays within ±c. E_1 is the exponential function; a smaller α
    decays more slowly to the left and rises more steeply to the right. What is cut off is at most
    `Σ_{k>=K} c^k / Γ(α k + 1)`, 2e-9 with the defaults.

    The loss-fusion paper names Mittag-Leffler and gives neither formula nor parameters: these are ours, constant in
    training.

    Shapes: any, returned unchanged.

    Args:
        alpha: α, between 0 and 2.
        bound: c, more than 0.
        terms: K, at least 1.

    Raises:
        ValueError: for a value out of range.

    >>> values = MittagLeffler(alpha=1.0)(torch.tensor([0.0, 50.0]))
    >>> [round(value, 4) for value in values.tolist()]  # exp 0 and, bounded by c = 1, exp 1
    [1.0, 2.7183]
    """

    def __init__(self, alpha: float = 0.8, bound: float = 1.0, terms: int = 16) -> None:
        super().__init__()
        require_between(0, 2, alpha=alpha)
        require_between(0, 16, bound=bound)
        require_at_least(1, terms=terms)
        self.alpha, self.bound, self.terms = alpha, bound, terms
        self.coefficients = tuple(math.exp(-math.lgamma(alpha * k + 1)) for k in range(terms))

    def curve(self, x: Tensor) -> Tensor:
        return polynomial(self.bound * torch.tanh(x / self.bound), self.coefficients)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, bound={self.bound}, terms={self.terms}"
