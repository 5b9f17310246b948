"""Statistics over a memory of fixed size, some of whose slots may be empty; no shape depends on a value."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SMALLEST = 1e-300


class History(NamedTuple):
    """Normalised histories.

    Attributes:
        values: Float (N, n), in [0, 1]; of no meaning in an empty slot.
        empty: Bool (N, n), whether a slot is.
        number: Int (N, 1), how many slots are not empty.
        low, high: Float (N, 1), smallest and largest value after the symmetric logarithm; infinite if there is none.
    """

    values: Float[Tensor, "N n"]
    empty: Bool[Tensor, "N n"]
    number: Int[Tensor, "N 1"]
    low: Float[Tensor, "N 1"]
    high: Float[Tensor, "N 1"]


def symmetric_log(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(1 + H) for H >= 0, -log(1 - H) for H < 0: equation (10) of the DMF paper."""
    return values.sign() * values.abs().log1p()


def normalise(memory: Float[Tensor, "N n"], epsilon: float = 0.0) -> History:
    """Symmetric logarithm (10), then min-max (9) with `epsilon` added to max - min; NaN marks an empty slot.

    A history without spread becomes 0 throughout.
    """
    empty = memory.isnan()
    scaled = symmetric_log(memory.masked_fill(empty, 0.0))
    low = scaled.masked_fill(empty, torch.inf).amin(1, keepdim=True)
    high = scaled.masked_fill(empty, -torch.inf).amax(1, keepdim=True)
    width = high - low + epsilon
    values = (scaled - low) / torch.where(width > 0, width, 1.0)
    return History(values, empty, memory.shape[1] - empty.sum(1, keepdim=True), low, high)


def variance(history: History) -> Float[Tensor, " N"]:
    """Population variance of each history, equation (3); NaN for an empty one."""
    mean = history.values.masked_fill(history.empty, 0.0).sum(1, keepdim=True) / history.number
    deviation = (history.values - mean).masked_fill(history.empty, 0.0)
    return deviation.square().sum(1) / history.number[:, 0]


def median_absolute_deviation(history: History, *, inverted_parity: bool = False) -> Float[Tensor, " N"]:
    """Equation (5): median |H - median H|; NaN for an empty history.

    The median is the mean of two of the sorted values, counted from 0: those at (n - 1) // 2 and n // 2, which are
    one for odd n. With `inverted_parity` they are at n // 2 - 1 and n // 2 for odd n, and both at n // 2 for even n.
    """
    number = history.number
    upper = number // 2
    lower = (upper - number % 2 if inverted_parity else (number - 1) // 2).clamp(min=0)
    ranks = torch.cat([lower, upper], dim=1)

    def median(values: Float[Tensor, "N n"]) -> Float[Tensor, "N 1"]:
        return values.masked_fill(history.empty, torch.inf).sort(1).values.gather(1, ranks).mean(1, keepdim=True)

    return median((history.values - median(history.values)).abs())[:, 0]


def shares(scores: Float[Tensor, " N"], otherwise: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Scores divided by their sum; `otherwise` where that is not positive."""
    total = scores.sum()
    return torch.where(total > 0, scores / total.clamp(min=SMALLEST), otherwise)
