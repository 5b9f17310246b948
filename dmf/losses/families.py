"""What a loss may look at, in one of four families, and what it answers with.

* `Region`: counts per class, `TP = Σ y p`, `FP = Σ (1 − y) p`, `FN = Σ y (1 − p)`;
* `TrueClass`: pixel by pixel, the probability of the true class;
* `Probability`: pixel by pixel, every class's probability beside its one-hot label;
* `Whole`: all logits and labels, by itself.

The first three fix how the gradient reaches the logits, so that any number of losses share one fused pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.losses.labels import Labels
from dmf.targets import Task


class Member(Protocol):
    """What the evaluation of several losses asks of each; what more it can use is said by the families."""

    table: Float[Tensor, " C"] | None
    by_itself: ClassVar[bool]
    """Whether it has a `forward` of its own, which no pass that is shared knows of."""

    @property
    def task(self) -> Task:
        """Which classes there are, which of them count, and how one value comes of them."""

    def over_classes(self, values: Float[Tensor, " C"]) -> Float[Tensor, ""]:
        """The mean over the classes that count, by their weights."""

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Counts:
    """Counts per class over the valid pixels of `images` images (1 for a batch of single labels)."""

    tp: Float[Tensor, " C"]
    fp: Float[Tensor, " C"]
    fn: Float[Tensor, " C"]
    images: int


@dataclass(frozen=True)
class Pixels:
    """The true class at every pixel: its probability `p`, and `log p` if asked for. Both are 0 at an ignored pixel."""

    p: Float[Tensor, "B S"]
    logarithm: Callable[[], Float[Tensor, "B S"]]

    @cached_property
    def log_p(self) -> Float[Tensor, "B S"]:
        """`log p`, finite however small p is; that of a logit of minus infinity is that, too."""
        return self.logarithm()

    def times_p(self, values: Float[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        """`p` times values that grow like `log p`: 0, its limit, where they are infinite."""
        return torch.where(values.isinf(), 0, self.p * values)

    @cached_property
    def q(self) -> Float[Tensor, "B S"]:
        """`1 − p`, to the absolute precision of p."""
        return 1 - self.p

    @cached_property
    def small_q(self) -> Float[Tensor, "B S"]:
        """`1 − p` to its own relative precision, and above 0: safe below a fractional power."""
        return (-torch.expm1(self.log_p)).clamp_min(torch.finfo(self.p.dtype).tiny)


class Region(ABC):
    """A function of the counts per class. With `hard`, predictions are first rounded to the most probable class."""

    hard = False

    @abstractmethod
    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        """Value; its derivative with respect to the counts is autograd's."""


class TrueClass(ABC):
    """The mean over pixels of a function of the true class's probability."""

    def polynomial(self) -> Sequence[Sequence[float]] | None:
        """`a_ck` of a loss that is `−log p Σ_k a_ck (1 − p)^k` at a pixel of class c: a row a class, or one for all.

        Whoever says so is spared the arrays of `value` and `slope` where loops are compiled. It binds no class derived
        from the one that says it.
        """
        return None

    @abstractmethod
    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        """The loss of each pixel."""

    @abstractmethod
    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        """Its derivative with respect to `log p`."""


class Probability(ABC):
    """The mean over pixels and classes of a function of each class's probability and one-hot label."""

    @abstractmethod
    def value(
        self, log_p: Float[Tensor, "B C S"], p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]
    ) -> Float[Tensor, "B C S"]:
        """The loss of each pixel and class; 0 where `p` and `y` are both 0, and `log p` maybe infinite."""

    @abstractmethod
    def slope(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        """Its derivative with respect to `log p`, all classes taken as independent."""


class Whole(ABC):
    """A function of all logits and labels, with autograd's gradient."""

    @abstractmethod
    def from_labels(self, z: Float[Tensor, "B C S"], labels: Labels) -> Float[Tensor, ""]:
        """Value."""


Pixelwise = TrueClass | Probability
