"""Statistics over a memory of fixed size, some of whose slots may be empty; no shape depends on a value."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class History(NamedTuple):
    """Normalised histories.

    Attributes:
        values: Float (N, n), in [0, 1]; 0 where `known` is false.
        known: Bool (N, n), the slots that hold a value.
        number: Int (N,), how many do.
        spread: Float (N,), (max - min) / max|H| after the symmetric logarithm: 0 for a constant history, or NaN.
    """

    values: Float[Tensor, "N n"]
    known: Bool[Tensor, "N n"]
    number: Int[Tensor, " N"]
    spread: Float[Tensor, " N"]


def symmetric_log(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(1 + H) for H >= 0, -log(1 - H) for H < 0: equation (10) of the DMF paper."""
    return values.sign() * values.abs().log1p()


def normalise(memory: Float[Tensor, "N n"], epsilon: float = 0.0) -> History:
    """Symmetric logarithm (10), then min-max (9) with `epsilon` added to max - min; NaN marks an empty slot.

    A history without spread becomes 0 throughout.
    """
    known = memory.isfinite()
    scaled = symmetric_log(torch.where(known, memory, 0.0))
    low = torch.where(known, scaled, torch.inf).amin(1, keepdim=True)
    high = torch.where(known, scaled, -torch.inf).amax(1, keepdim=True)
    width = (high - low).clamp(min=0.0) + epsilon
    values = torch.where(known, (scaled - low) / torch.where(width > 0, width, 1.0), 0.0)
    spread = (high - low) / torch.maximum(high.abs(), low.abs())
    return History(values, known, known.sum(1), spread[:, 0].detach())


def variance(history: History) -> Float[Tensor, " N"]:
    """Population variance of each history, equation (3); 0 for an empty one."""
    count = history.number.clamp(min=1)
    mean = history.values.sum(1) / count
    deviation = torch.where(history.known, history.values - mean[:, None], 0.0)
    return deviation.square().sum(1) / count


def median_absolute_deviation(history: History, *, inverted_parity: bool = False) -> Float[Tensor, " N"]:
    """median |H - median H|, equation (5); infinite or NaN for an empty history."""
    centre = _median(history.values, history, inverted_parity)
    return _median((history.values - centre).abs(), history, inverted_parity)[:, 0]


def _median(values: Float[Tensor, "N n"], history: History, inverted_parity: bool) -> Float[Tensor, "N 1"]:
    """The mean of two ranks: the middle ones, which coincide for odd n.

    With `inverted_parity` the ranks are n // 2 - 1 and n // 2 for odd n, and n // 2 alone for even n.
    """
    count = history.number[:, None]
    lower = count // 2 - count % 2 if inverted_parity else (count - 1) // 2
    ranked = torch.where(history.known, values, torch.inf).sort(1).values
    return (ranked.gather(1, lower.clamp(min=0)) + ranked.gather(1, count // 2)) / 2


def shares(scores: Float[Tensor, " N"], otherwise: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Scores divided by their sum; `otherwise` where that is not positive."""
    total = scores.sum()
    return torch.where(total > 0, scores / torch.where(total > 0, total, 1.0), otherwise)
