"""What a loss is: a name, a number of classes, and how its value follows from quantities that all losses share.

Every loss belongs to one of three families, by what it looks at:

* a `RegionLoss` sees soft counts per class, `TP = Σ y p`, `FP = Σ (1 − y) p`, `FN = Σ y (1 − p)`;
* a `TrueClassLoss` sees, pixel by pixel, the probability of the true class;
* a `ProbabilityLoss` sees, pixel by pixel, every class probability beside its one-hot label.

A family fixes how the gradient reaches the logits, so that any number of losses share one softmax forward and one
sweep backward (`dmf.losses.fused`). A loss outside the families overrides `forward` and is evaluated by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.losses.truth import Truth
from dmf.registry import Registry


class Loss(nn.Module):
    """A scalar training loss on logits and integer labels.

    Args:
        num_classes: C, at least 2 (a binary task has two logits).
        ignore_index: label of pixels that count nowhere, neither in sums nor in means; None if there is none.

    Shape: logits `(B, C, *spatial)` with labels `(B, *spatial)`, or `(B, C)` with `(B,)`, where the batch takes the
    place of the image. The value is float32, float64 for float64 logits; half precision is accumulated in float32.

    Raises:
        ValueError: if a parameter or a shape does not fit.
    """

    def __init__(self, num_classes: int, *, ignore_index: int | None = None) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"Parameter `num_classes` must be >= 2 (a binary task has two logits). Found {num_classes}.")
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, "B *spatial"]) -> Float[Tensor, ""]:
        """The loss of a batch."""
        from dmf.losses.fused import evaluate

        return evaluate([self], logits, target)[0]

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in vars(self).items() if is_setting(name, value))


def is_setting(name: str, value: object) -> bool:
    """Whether an attribute of a module is one of its own plain settings."""
    return name != "training" and not name.startswith("_") and isinstance(value, int | float | tuple | None)


@dataclass(frozen=True)
class Counts:
    """Counts per class over the valid pixels of a batch of `images` images (1 for a batch of single labels)."""

    tp: Float[Tensor, " C"]
    fp: Float[Tensor, " C"]
    fn: Float[Tensor, " C"]
    images: int


@dataclass(frozen=True)
class Pixels:
    """Probability of the true class at every pixel: `p`, `log p`, and `q = 1 − p`."""

    log_p: Float[Tensor, "B S"]
    p: Float[Tensor, "B S"]
    q: Float[Tensor, "B S"]


class RegionLoss(Loss):
    """A loss that is a function of the counts per class. `hard` counts come from the arg max, without gradient."""

    hard = False

    def from_counts(self, counts: Counts) -> Float[Tensor, ""]:
        """Value from counts; its derivative with respect to them is autograd's."""
        raise NotImplementedError


class TrueClassLoss(Loss):
    """A mean over pixels of a function of the true class's probability."""

    def value(self, pixels: Pixels, truth: Truth) -> Float[Tensor, "B S"]:
        """The loss of each pixel."""
        raise NotImplementedError

    def slope(self, pixels: Pixels, truth: Truth) -> Float[Tensor, "B S"]:
        """Derivative of `value` with respect to `log p`."""
        raise NotImplementedError


class ProbabilityLoss(Loss):
    """A mean over pixels and classes of a function of each probability and its one-hot label."""

    def value(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        """The loss of each pixel and class."""
        raise NotImplementedError

    def slope(self, p: Float[Tensor, "B C S"], y: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        """Derivative of `value` with respect to `p`."""
        raise NotImplementedError


LOSSES: Registry[Loss] = Registry("loss")
"""The losses as the papers' equations have them."""
REFERENCE: Registry[Loss] = Registry("reference loss")
"""Those that the authors' own code computes differently."""
STABLE: Registry[Loss] = Registry("stable loss")
"""Those that need a correction to be safe to train with."""
FIDELITIES: Mapping[str, Registry[Loss]] = {"paper": LOSSES, "reference": REFERENCE, "stable": STABLE}


def build_loss(name: str, num_classes: int, fidelity: str = "paper", **params: object) -> Loss:
    """The loss registered as `name`, in the variant of that fidelity or else as the paper has it.

    Raises:
        UnknownName: if no loss has that name.
        ValueError: if the fidelity or a parameter is unknown.
    """
    if fidelity not in FIDELITIES:
        raise ValueError(f"Parameter `fidelity` must be one of {', '.join(FIDELITIES)}. Found {fidelity!r}.")
    paper = LOSSES[name]
    cls = FIDELITIES[fidelity].get(name, paper) if name in FIDELITIES[fidelity] else paper
    try:
        return cls(num_classes, **params)  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(f"Loss {name!r} ({cls.__name__}) does not take these parameters: {error}.") from None


def per_class(name: str, value: float | tuple[float, ...] | list[float], num_classes: int) -> float | Tensor:
    """A weight that is one number for all classes, or one for each of them.

    Raises:
        ValueError: if there are not `num_classes` of them or one is negative.
    """
    values = (value,) if isinstance(value, int | float) else tuple(value)
    if len(values) not in (1, num_classes) or min(values) < 0:
        raise ValueError(f"Parameter `{name}` must be one number >= 0 or {num_classes} of them. Found {value}.")
    return float(values[0]) if isinstance(value, int | float) else torch.tensor(values)
