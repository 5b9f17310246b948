"""What every weighting is: losses in, weights out, state in buffers, and a total whose gradient those weights are."""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, overload

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import capturing, require, require_at_least, require_choice, require_shape
from dmf.precision import Precise
from dmf.registry import Registry
from dmf.weightings.names import decoded, encoded, in_order, require_losses, require_names, require_same

SCALES = ("own", "sum1")

_ALONE = threading.RLock()
"""Who looks at a memory works in its place: one at a time, of whatever module, as a lock cannot be copied."""

UNMOVED = 100
"""Steps after which learned weights that no optimiser has moved are spoken of."""

Losses = Tensor | Sequence[Tensor] | Mapping[str, Tensor]

Shared = Tensor | Sequence[Tensor] | None

NAMES = "names"
"""Where `state_dict` has the names of the losses, if they have any."""


class Combination(NamedTuple):
    """What a weighting makes of N losses.

    Attributes:
        total: Float (), the scalar to differentiate.
        weights: Float (N,), detached: the effective weights ∂total/∂L_i.
    """

    total: Float[Tensor, ""]
    weights: Float[Tensor, " N"]


class NamedCombination(NamedTuple):
    """What a weighting makes of losses that have names.

    Attributes:
        total: Float (), the scalar to differentiate.
        weights: By name: Float (), detached: the effective weight ∂total/∂L_name.
    """

    total: Float[Tensor, ""]
    weights: dict[str, Float[Tensor, ""]]


class Weighting(Precise, ABC):
    """Losses (N,) in, weights (N,) out; one call is one training step, and in evaluation mode none.

    `forward` first takes note of the losses, then answers with the weights for this same step. `combine` makes the
    total of them. Everything that is remembered lies in buffers, so that `state_dict`, `.to(device)`, `torch.compile`
    and CUDA graphs need no special care, and nothing in a step waits for the device. Buffers are float64, since
    the statistics of losses from 1e-12 to 1e12 do not fit float32; on a device without float64 call `.float()` first.
    `.half()` and `.bfloat16()` leave them as they are.

    After `eval()`, and by `look`, the answer is that which the next step would give, and nothing is remembered: a
    hundred calls between two training steps change no weight. No other rank is asked then.

    Under `torch.distributed` the losses are averaged over the ranks before they are remembered, so that all ranks
    agree on the weights; each rank's total still holds its own losses.

    Losses may have names, such as those of a network's heads: `combine` takes a dictionary, too. The names are those
    that `build_weighting` was given, or else of the first dictionary; they lie in `state_dict`.

    Args:
        num_losses: N >= 1.
        scale: "own" keeps the sum that the method gives its weights (`sums_to`). "sum1" divides total and weights by
            the sum of the effective weights, a detached number, so that methods differ in how they share one and
            the same budget and not in learning rate. (Where that sum is not positive the scale stays as it is.)

    Attributes:
        names: Of the losses, in the order of all vectors (N,); None as long as they have none.
        loss_shape: Of each loss; () but for methods that want a pair of them.
        of_parameters: Whether it looks at gradients with respect to parameters, so that logits will not do as `shared`.

    Raises:
        ValueError: if a parameter is out of its range, naming it, or if `losses` is not of shape (N,).
    """

    names: tuple[str, ...] | None
    loss_shape: tuple[int, ...] = ()
    of_parameters = False

    def __init__(self, num_losses: int, *, scale: str = "own") -> None:
        super().__init__()
        require_at_least(1, num_losses=num_losses)
        require_choice("scale", scale, SCALES)
        self.num_losses = num_losses
        self.scale = scale
        self.names = None
        self._looking = False
        self._watched = 0
        self._began: list[Tensor] = []

    @property
    @abstractmethod
    def sums_to(self) -> float | None:
        """The sum of the weights that `forward` returns, at every step; None where it varies."""

    @abstractmethod
    def weigh(self, observed: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The method itself: remember `observed` (float64, may hold NaN or infinity) and answer with weights."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the arithmetic: that of the buffers."""
        return next((buffer.dtype for buffer in self.buffers() if buffer.is_floating_point()), torch.float64)

    def forward(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Take note of the losses of this step and return its weights, in the dtype of `losses`."""
        require_shape("losses", losses.shape, (self.num_losses,))
        if not self.training:
            with self._memory_left_alone():
                return self.weigh(losses.to(self.dtype)).to(losses.dtype)
        seen = losses if self._looking else mean_across_ranks(losses)
        return self.weigh(seen.to(self.dtype)).to(losses.dtype)

    @overload
    def combine(self, losses: Mapping[str, Tensor], shared: Shared = None) -> NamedCombination: ...

    @overload
    def combine(self, losses: Tensor | Sequence[Tensor], shared: Shared = None) -> Combination: ...

    def combine(self, losses: Losses, shared: Shared = None) -> Combination | NamedCombination:
        """One step: remember the losses, weigh them, add them up.

        Args:
            losses: Float (N,); or scalars of any heads, as a list or, by name, as a dictionary in any order.
            shared: The tensor they were all computed from, such as logits or a network's features, or several; for
                methods that look at gradients.

        Returns:
            Total and weights, the weights of a dictionary by name.

        Raises:
            ValueError: for another number of losses than N, for one that is no scalar, and for names other than those
                of the steps before.
        """
        if not self.training:
            return self.look(losses, shared)
        learned = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if learned and not torch.compiler.is_compiling() and not capturing(learned[0]):
            self._watch(learned)
        return self._answer(losses, shared)

    @overload
    def look(self, losses: Mapping[str, Tensor], shared: Shared = None) -> NamedCombination: ...

    @overload
    def look(self, losses: Tensor | Sequence[Tensor], shared: Shared = None) -> Combination: ...

    def look(self, losses: Losses, shared: Shared = None) -> Combination | NamedCombination:
        """What `combine` would answer; the memory is left alone."""
        with self._memory_left_alone():
            return self._answer(losses, shared)

    def _answer(self, losses: Losses, shared: Shared) -> Combination | NamedCombination:
        if isinstance(losses, Tensor):
            return self._scaled(self._combine(losses, shared, losses))
        if not isinstance(losses, Mapping):
            each = self._each(losses)
            return self._scaled(self._combine(torch.stack(each), shared, each))
        if self.names is None:
            self.names = require_names(losses, self.num_losses)
        each = self._each(in_order(losses, self.names))
        total, weights = self._scaled(self._combine(torch.stack(each), shared, each))
        return NamedCombination(total, dict(zip(self.names, weights.unbind(), strict=True)))

    @contextmanager
    def _memory_left_alone(self) -> Iterator[None]:
        """Let the method remember in copies of its buffers, which are forgotten; within itself, in the same ones."""
        with nullcontext() if torch.compiler.is_compiling() else _ALONE:
            if self._looking:
                yield
                return
            held = [(vars(module)["_buffers"], dict(vars(module)["_buffers"])) for module in self.modules()]
            with torch.inference_mode(False):  # whose tensors no derivative goes through
                for buffers, kept in held:
                    buffers.update({name: value if value is None else value.clone() for name, value in kept.items()})
            self._looking = True
            try:
                yield
            finally:
                self._looking = False
                for buffers, kept in held:
                    buffers.clear()
                    buffers.update(kept)

    def _watch(self, learned: Sequence[nn.Parameter]) -> None:
        """Say once that no optimiser has moved the learned weights in `UNMOVED` steps; looks at them twice in all."""
        self._watched += 1
        if self._watched == 1:
            self._began = [parameter.detach().clone() for parameter in learned]
        if self._watched != UNMOVED + 1 or not all(map(torch.equal, learned, self._began)):
            return
        names = ", ".join(f"`{name}`" for name, _ in self.named_parameters())
        warnings.warn(
            f"{type(self).__name__}: no optimiser has moved {names} in {UNMOVED} steps, so its weights stay where they "
            "began. Give the optimiser these parameters, too: `[*model.parameters(), *fusion.parameters()]`.",
            stacklevel=5,
        )

    def _each(self, losses: Sequence[Tensor]) -> list[Tensor]:
        return require_losses(losses, self.num_losses, self.loss_shape, self.names)

    def _scaled(self, combination: Combination) -> Combination:
        total, weights = combination
        if self.scale == "own":
            return Combination(total, weights)
        budget = weights.sum()
        factor = torch.where(budget > 0, 1 / budget, 1.0)
        return Combination(total * factor, weights * factor)

    def _combine(self, losses: Float[Tensor, " N"], shared: Shared, each: Iterable[Tensor]) -> Combination:
        """Total and weights on the method's own scale; the gradients of one of `each` ask nothing of the others."""
        weights = self(losses)
        return Combination((weights * losses).sum(), weights.detach())

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.names is not None:
            destination[prefix + NAMES] = encoded(self.names)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = state.pop(prefix + NAMES, None)
        if saved is not None:
            self.names = require_same(decoded(saved), self.names)
        super()._load_from_state_dict(state, prefix, *rest)
        if saved is None and self.names is not None:
            missing = rest[2]
            missing.append(prefix + NAMES)

    def extra_repr(self) -> str:
        return f"num_losses={self.num_losses}, scale={self.scale!r}"


WEIGHTINGS: Registry[Weighting] = Registry("weighting")


class CarryingWeighting(Weighting):
    """A weighting that sees finite losses only: a NaN or infinite one is replaced by the last finite one (first: 1)."""

    last: Float[Tensor, " N"]

    def __init__(self, num_losses: int, *, scale: str = "own") -> None:
        super().__init__(num_losses, scale=scale)
        self.register_buffer("last", torch.ones(num_losses, dtype=torch.float64))

    def weigh(self, observed: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        seen = torch.where(observed.isfinite(), observed, self.last).detach()
        weights = self.weigh_finite(seen)
        self.last.copy_(seen)
        return weights

    @abstractmethod
    def weigh_finite(self, losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The method itself, on finite and detached losses; `self.last` still holds those of the step before."""


@contextmanager
def differentiating() -> Iterator[None]:
    """Derivatives inside, whatever the mode around; what was made in inference mode has to be cloned first."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def mean_across_ranks(losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The mean over all ranks, differentiable in this rank's losses; the losses themselves in a single process."""
    if not dist.is_available() or not dist.is_initialized():
        return losses
    own = losses.detach()
    mean = own.clone()
    dist.all_reduce(mean)
    return (mean + (losses - own)) / dist.get_world_size()


def as_weights(values: Sequence[float] | None, num_losses: int, name: str) -> Float[Tensor, " N"]:
    """`values` as a tensor of N non-negative finite numbers, not all zero; 1/N each if None."""
    if values is None:
        return torch.full((num_losses,), 1 / num_losses, dtype=torch.float64)
    weights = torch.tensor(list(values), dtype=torch.float64)
    expected = f"{num_losses} finite numbers >= 0, not all 0"
    require(weights.shape == (num_losses,), name, values, expected)
    require(bool(weights.isfinite().all() and (weights >= 0).all() and weights.sum() > 0), name, values, expected)
    return weights


def ratio(
    numerator: Float[Tensor, " N"], denominator: Float[Tensor, " N"], smallest: float = 1e-12
) -> Float[Tensor, " N"]:
    """Their quotient, with a denominator nearer to 0 than `smallest` moved there, its sign kept."""
    size = denominator.abs().clamp(min=smallest)
    return numerator / torch.where(denominator < 0, -size, size)
