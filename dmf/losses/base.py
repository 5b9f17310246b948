"""What a loss is: a small module in one of the three families of `dmf.losses.families`.

A loss outside the families overrides `forward` and is evaluated by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.checks import require, require_choice, require_within
from dmf.fidelity import FIDELITIES
from dmf.losses.families import Probability, Region, TrueClass
from dmf.losses.fused import evaluate
from dmf.precision import Precise
from dmf.registry import Registry


class Loss(Precise):
    """A scalar training loss on logits and integer labels.

    Args:
        num_classes: C, at least 2: a binary task has two logits.
        ignore_index: label of pixels that count nowhere, neither in sums nor in means; None if there is none.

    Shape: logits `(B, C, *spatial)` with labels `(B, *spatial)` or `(B, 1, *spatial)`, of any integer type or bool; or
    `(B, C)` with `(B,)`, where the batch takes the place of the image. The value is float32 (float64 for float64
    logits): half precision is accumulated in float32. A label that is neither a class nor `ignore_index` is an error on
    the CPU. Elsewhere that would mean to wait for the device at every step: `DynamicMemoryFusion` and `FusedLosses`
    look at the first one, and the value is NaN.

    Attributes:
        name: The one under which its class is registered, in whatever fidelity; that of the class if it is not.

    Raises:
        ValueError: if a parameter, a shape or a label does not fit.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = cls.__name__

    def __init__(self, num_classes: int, *, ignore_index: int | None = None) -> None:
        super().__init__()
        require(num_classes >= 2, "num_classes", num_classes, "at least 2: a binary task has two logits")
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, " B *spatial"]) -> Float[Tensor, ""]:
        """The loss of a batch."""
        return evaluate([self], logits, target)[0]

    def set_epoch(self, epoch: int) -> None:
        """Tell a loss which epoch begins, counted from 0. Most do not ask."""

    def extra_repr(self) -> str:
        settings = {
            name: value for name, value in vars(self).items() if not name.startswith("_") and name != "training"
        }
        return ", ".join(f"{name}={value}" for name, value in settings.items())


class RegionLoss(Loss, Region):
    """A loss of the counts per class."""


class TrueClassLoss(Loss, TrueClass):
    """A loss of the true class's probability."""


class ProbabilityLoss(Loss, Probability):
    """The mean over pixels and classes of a function of each class's probability and one-hot label.

    Args:
        hard_negative_threshold: Where `y = 0`, only probabilities above it count in full: the hard negatives; None
            lets every one count in full.
        easy_negative_weight: What the other negatives count, 0 to 1, default 0.1.

    Source: Ramani et al. name `hard_negative_threshold` without a formula; this one is ours.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int | None = None,
        hard_negative_threshold: float | None = None,
        easy_negative_weight: float = 0.1,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        require_within(0, 1, easy_negative_weight=easy_negative_weight)
        if hard_negative_threshold is not None:
            require_within(0, 1, hard_negative_threshold=hard_negative_threshold)
        self.hard_negative_threshold = hard_negative_threshold
        self.easy_negative_weight = easy_negative_weight

    def emphasise(
        self, values: Float[Tensor, "B C S"], p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]
    ) -> Float[Tensor, "B C S"]:
        """Values, or their slopes, with the easy negatives weighed down."""
        if self.hard_negative_threshold is None:
            return values
        easy = (y == 0) & (p <= self.hard_negative_threshold)
        return torch.where(easy, values * self.easy_negative_weight, values)


LOSSES: Registry[Loss] = Registry("loss")
"""The losses as the papers' equations have them."""
REFERENCE: Registry[Loss] = Registry("reference loss")
"""Those that the authors' own code computes differently."""
STABLE: Registry[Loss] = Registry("stable loss")
"""Those that need a correction to be safe to train with."""
VARIANTS: Mapping[str, Registry[Loss]] = dict(zip(FIDELITIES, (LOSSES, REFERENCE, STABLE), strict=True))
"""By fidelity: the losses that have a variant of their own in it."""


def loss_class(name: str, fidelity: str = "paper") -> type[Loss]:
    """The class that `build_loss` builds.

    Raises:
        UnknownName: if no loss has that name.
        ValueError: if there is no such fidelity.
    """
    require_choice("fidelity", fidelity, FIDELITIES)
    cls = LOSSES[name]
    if name in VARIANTS[fidelity]:
        cls = VARIANTS[fidelity][name]
    return cls


def build_loss(name: str, num_classes: int, fidelity: str = "paper", **params: object) -> Loss:
    """The loss registered as `name`: in the variant of that fidelity if it has one, else as the paper has it.

    Raises:
        UnknownName: if no loss has that name.
        ValueError: if the fidelity or a parameter is unknown or out of range.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(build_loss("dice", 2)(p.log(), y).item(), 4)
    0.381
    >>> round(build_loss("dice", 2, fidelity="reference")(p.log(), y).item(), 4)
    0.6667
    """
    cls = loss_class(name, fidelity)
    try:
        return cls(num_classes, **params)  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(f"Loss {name!r} (fidelity {fidelity}) cannot take these parameters: {error}.") from error


def class_weights(name: str, value: float | Sequence[float], num_classes: int) -> float | tuple[float, ...]:
    """One weight for all classes, or one for each.

    Raises:
        ValueError: if their number is not `num_classes`, or one is negative.
    """
    if isinstance(value, int | float):
        weights: float | tuple[float, ...] = float(value)
        fits = value > 0
    else:
        weights = tuple(float(weight) for weight in value)
        fits = len(weights) == num_classes and min(weights) >= 0 < max(weights)
    require(fits, name, value, f"a number above 0, or {num_classes} numbers of at least 0 that are not all 0")
    return weights
