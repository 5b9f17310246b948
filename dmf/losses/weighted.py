"""Pixelwise losses whose classes weigh as they are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import require
from dmf.losses.families import Member, Pixels, Pixelwise, Probability, TrueClass
from dmf.losses.labels import Labels
from dmf.targets import SOFTMAX


def class_weights(name: str, value: float | Sequence[float], num_classes: int) -> float | tuple[float, ...]:
    """One weight for all classes, or one for each.

    Raises:
        ValueError: if their number is not `num_classes`, all are 0, or one is negative, infinite or NaN.
    """
    if isinstance(value, int | float):
        weights: float | tuple[float, ...] = float(value)
        fits = 0 < value < math.inf
    else:
        weights = tuple(float(weight) for weight in value)
        fits = len(weights) == num_classes and all(0 <= weight < math.inf for weight in weights) and any(weights)
    require(fits, name, value, f"a number above 0, or {num_classes} numbers of at least 0 that are not all 0")
    return weights


def class_table(weights: Sequence[float] | None, num_classes: int, first: int = 0) -> Float[Tensor, " C"] | None:
    """The weights of classes, 0 before the first that counts, the least of the others 1; None if all count alike."""
    if weights is None and first == 0:
        return None
    weights = [1.0] * num_classes if weights is None else weights
    class_weights("class_weights", weights, num_classes)
    counting = [0.0] * first + [float(weight) for weight in weights[first:]]
    require(any(counting), "class_weights", weights, "above 0 for a class that counts")
    least = min(weight for weight in counting if weight)
    return torch.tensor([weight / least for weight in counting], dtype=torch.float64)


def weighted(loss: Any) -> Pixelwise:
    """The pixelwise loss as it weighs classes under softmax; `over_weights` then makes a mean of its mean."""
    table = _table(loss)
    if table is None:
        return loss
    return WeightedTrueClass(loss, table) if isinstance(loss, TrueClass) else WeightedProbability(loss, table)


def over_weights(loss: Member, mean: Float[Tensor, ""], labels: Labels) -> Float[Tensor, ""]:
    """The mean over pixels of a weighted loss as a mean over their weights, if it has one a pixel."""
    table = _table(loss)
    return mean if table is None or isinstance(loss, Probability) else mean * pixels_per_weight(labels, table)


def pixels_per_weight(labels: Labels, table: Float[Tensor, " C"]) -> Float[Tensor, ""]:
    """`N / Σ_i w_i`, the weight of a pixel being that of its class; 0 if none has one."""
    pixels = labels.class_pixels.sum(0)
    total = (pixels * table.to(pixels.dtype)).sum()
    return torch.where(total == 0, 0, pixels.sum() / total)


def _table(loss: Member) -> Float[Tensor, " C"] | None:
    """The weights of classes; under sigmoid they are those of channels, of which a problem is only one."""
    return loss.table if loss.task.activation == SOFTMAX else None


def polynomial_of(loss: Pixelwise) -> Sequence[Sequence[float]] | None:
    """That of a loss whose own class says so."""
    return loss.polynomial() if isinstance(loss, TrueClass) and "polynomial" in vars(type(loss)) else None


class WeightedTrueClass(TrueClass):
    """Every pixel times the weight of its class."""

    def __init__(self, loss: TrueClass, table: Float[Tensor, " C"]) -> None:
        self.loss = loss
        self.table = table

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return self.loss.value(pixels, labels) * labels.select(self.table)

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return self.loss.slope(pixels, labels) * labels.select(self.table)

    def polynomial(self) -> Sequence[Sequence[float]] | None:
        rows = polynomial_of(self.loss)
        if rows is None:
            return None
        weights = self.table.tolist()
        rows = rows if len(rows) > 1 else [*rows] * len(weights)
        return [[weight * a for a in row] for weight, row in zip(weights, rows, strict=True)]


class WeightedProbability(Probability):
    """Every class times its weight, those of all being 1 on average."""

    def __init__(self, loss: Probability, table: Float[Tensor, " C"]) -> None:
        self.loss = loss
        self.table = (table / table.mean()).unsqueeze(1)

    def value(
        self, log_p: Float[Tensor, "B C S"], p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]
    ) -> Float[Tensor, "B C S"]:
        return self.loss.value(log_p, p, y) * self.table.to(p.dtype)

    def slope(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        return self.loss.slope(p, y) * self.table.to(p.dtype)
