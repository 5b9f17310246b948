"""The same labels in every form that a target may have."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dmf.losses import VARIANTS

EVERY = [(fidelity, name) for fidelity, registry in VARIANTS.items() for name in registry]


def hot(labels: Tensor, classes: int) -> Tensor:
    """`(B, C, *spatial)` of class indices."""
    return one_hot(labels, classes).movedim(-1, 1)


INDICES: dict[str, Callable[[Tensor], Tensor]] = {
    "int64": lambda y: y,
    "int32": lambda y: y.int(),
    "uint8": lambda y: y.to(torch.uint8),
    "float32": lambda y: y.float(),
    "float16": lambda y: y.half(),
    "(B, 1, ...)": lambda y: y.unsqueeze(1),
    "(B, 1, ...) float32": lambda y: y.unsqueeze(1).float(),
    "(B, 1, ...) uint8": lambda y: y.unsqueeze(1).to(torch.uint8),
}
"""Of class indices."""
CHANNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "int64": lambda y: y,
    "uint8": lambda y: y.to(torch.uint8),
    "bool": lambda y: y.bool(),
    "float32": lambda y: y.float(),
    "float64": lambda y: y.double(),
}
"""Of a channel a class, the floats being soft labels."""


def example(shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Float64 logits of a shape, and class indices."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(0, max(2, shape[1]), (shape[0], *shape[2:]), generator=generator)


def soft(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """Random shares of every class."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(1)


def presence(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """Random channels of 0 and 1."""
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed))
