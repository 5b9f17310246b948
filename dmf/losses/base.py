"""What a loss is: a small module in one of the four families of `dmf.losses.families`.

A loss that overrides `forward` is evaluated by itself, in whatever family it is.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypedDict, Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import invalid, require, require_choice, require_within
from dmf.fidelity import FIDELITIES
from dmf.losses.families import Probability, Region, TrueClass
from dmf.losses.fused import MEAN, REDUCTIONS, evaluate, reduced
from dmf.losses.weighted import class_table
from dmf.precision import Precise
from dmf.registry import Registry
from dmf.targets import OUTPUTS, SIGMOID, SOFTMAX, Task


class Common(TypedDict, total=False):
    """Parameters that every loss takes."""

    ignore_index: int | None
    activation: str
    reduction: str
    class_weights: Sequence[float] | None
    include_background: bool


class Loss(Precise):
    """A training loss on logits and labels.

    Args:
        num_classes: C, at least 2; 1 for one logit, with `activation="sigmoid"`.
        ignore_index: Label of pixels that count nowhere, neither in sums nor in means; None if there is none.
        activation: "softmax": one class a pixel. "sigmoid": each channel by itself, absent or present, of one logit or
            of several labels at once. Each is then a problem of two classes with the logits 0 and z, and the loss the
            mean over channels; a region loss takes the counts of what is present.
        reduction: "mean" of the batch; "none" gives `(B,)`, what each image or sample would cost by itself.
        class_weights: One number a class in means over classes or channels, and in means over pixels that of a pixel's
            class; divided by their sum.
        include_background: Whether class 0 counts in means over classes or channels. A mean over pixels counts all.

    Shape: logits `(B, C, *spatial)` or `(B, C)`, where the batch takes the place of the image, and a target in one of
    these forms: class indices `(B, *spatial)` or `(B, 1, *spatial)` of any integer type, bool or whole floats; one-hot
    `(B, C, *spatial)`; soft labels `(B, C, *spatial)`, floats. A pixelwise loss of soft labels is what hard ones would
    cost on average. The value is float32 (float64 for float64 logits): half precision is accumulated in float32.

    A label that is neither a class nor `ignore_index` is an error on the CPU. Elsewhere that would mean to wait for the
    device at every step: `DynamicMemoryFusion` and `FusedLosses` look at the first one, and the value is NaN.

    Attributes:
        name: The one under which its class is registered, in whatever fidelity; that of the class if it is not.
        over_pixels: Whether under softmax it is a mean over pixels, and not over classes.
        balances: Whether it weighs classes against each other.
        by_itself: Whether it overrides `forward`.

    Raises:
        ValueError: if a parameter, a shape or a label does not fit.
    """

    name: ClassVar[str]
    over_pixels: ClassVar[bool] = False
    balances: ClassVar[bool] = False
    by_itself: ClassVar[bool] = False
    table: Float[Tensor, " C"] | None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = cls.__name__
        cls.by_itself = cls.forward is not Loss.forward

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int | None = None,
        activation: str = SOFTMAX,
        reduction: str = MEAN,
        class_weights: Sequence[float] | None = None,
        include_background: bool = True,
    ) -> None:
        super().__init__()
        require_choice("activation", activation, OUTPUTS)
        require_choice("reduction", reduction, REDUCTIONS)
        one_logit = activation == SIGMOID and not self.balances
        require(num_classes >= 2 - one_logit, "num_classes", num_classes, self._least(activation))
        self.num_classes = num_classes
        self.ignore_index = _label(ignore_index)
        self.activation = activation
        self.reduction = reduction
        self.class_weights = None if class_weights is None else tuple(float(weight) for weight in class_weights)
        self.include_background = include_background
        table = self._table()
        if table is None:
            self.table = None
        else:
            self.register_buffer("table", table, persistent=False)

    def _least(self, activation: str) -> str:
        if activation == SIGMOID:
            return "at least 2, or one logit leaves no classes to balance: make it `torch.cat([0 * z, z], 1)`"
        return "at least 2: a binary task has two logits, or one with num_classes=1 and activation='sigmoid'"

    def _table(self) -> Tensor | None:
        if self.include_background:
            return class_table(self.class_weights, self.num_classes)
        always = f"True for `{self.name}`"
        require(self.num_classes > 1, "include_background", False, f"{always}: one logit has no background")
        pixels = self.over_pixels and self.activation == SOFTMAX
        instead = "a mean over pixels; `class_weights` with 0 for class 0 leaves out its pixels"
        require(not pixels, "include_background", False, f"{always}, {instead}")
        return class_table(self.class_weights, self.num_classes, first=1)

    @property
    def task(self) -> Task:
        """What its target is read by."""
        return Task(self.num_classes, self.ignore_index, self.activation)

    def reweighed(self, weights: Float[Tensor, " C"]) -> Float[Tensor, " C"]:
        """Weights of classes, times those that were given."""
        return weights if self.table is None else weights * self.table.to(weights.dtype)

    def over_classes(self, values: Float[Tensor, " C"]) -> Float[Tensor, ""]:
        """The mean over classes or channels; what has no weight may be infinite."""
        if self.table is None:
            return values.mean()
        weights = self.table.to(values.dtype)
        return (torch.where(weights > 0, values, 0) * weights).sum() / weights.sum()

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Tensor) -> Float[Tensor, "*B"]:
        """The loss of a batch, or of each of its samples."""
        return reduced(self.reduction, lambda z, y: evaluate([self], z, y)[0], logits, target)

    def set_epoch(self, epoch: int) -> None:
        """Tell a loss which epoch begins, counted from 0. Most do not ask."""

    def extra_repr(self) -> str:
        settings = {
            name: value for name, value in vars(self).items() if not name.startswith("_") and name != "training"
        }
        return ", ".join(f"{name}={value}" for name, value in settings.items())


def _label(ignore_index: int | None) -> int | None:
    if ignore_index is None:
        return None
    try:
        return operator.index(ignore_index)
    except TypeError:
        raise invalid("ignore_index", ignore_index, "a whole number or None") from None


class RegionLoss(Loss, Region):
    """A loss of the counts per class."""


class TrueClassLoss(Loss, TrueClass):
    """A loss of the true class's probability."""

    over_pixels = True


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
        hard_negative_threshold: float | None = None,
        easy_negative_weight: float = 0.1,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        require_within(0, 1, easy_negative_weight=easy_negative_weight)
        if hard_negative_threshold is not None:
            require_within(0, 1, hard_negative_threshold=hard_negative_threshold)
            softmax = self.activation == SOFTMAX
            require(softmax, "hard_negative_threshold", hard_negative_threshold, "None under activation='sigmoid'")
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
