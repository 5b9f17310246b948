"""Activations by name, and how they take the place of those that a network has."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from dmf.checks import refuse_unknown
from dmf.registry import Registry

ACTIVATIONS: Registry[nn.Module] = Registry("activation")

# Rectifiers and their smooth kin, as torch and timm name them. Sigmoid, tanh and softmax stay: they are gates and
# probabilities, not hidden units.
REPLACED = frozenset(
    {
        *("ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU", "ELU", "SELU", "CELU", "Softplus"),
        *("GELU", "GELUTanh", "QuickGELU", "SiLU", "Swish", "Mish", "Hardswish", "HardSwish", "HardMish"),
    }
)


def build_activation(name: str, **params: Any) -> nn.Module:
    """An activation, `(*) -> (*)`, of any shape and floating-point type.

    Raises:
        UnknownName: for a name that is not registered.
        ValueError: for a parameter that the activation does not have, or a value out of range.

    >>> import torch
    >>> legendre = build_activation("jacobi", degree=1, alpha=0.0, beta=0.0)
    >>> legendre(torch.tensor(50.0)).item()  # tanh
    1.0
    """
    activation = ACTIVATIONS[name]
    refuse_unknown(f"Activation {name!r}", params, inspect.signature(activation).parameters)
    return activation(**params)


def replace_activations(model: nn.Module, name: str, **params: Any) -> int:
    """Put an activation in the place of every rectifier of a model, in place; initial weights stay as they are.

    Replaced are the modules whose class is one of `REPLACED`. What a model calls as a function in its `forward`, and
    sigmoid, tanh and softmax, stay.

    Returns:
        How many were replaced.

    Raises:
        UnknownName, ValueError: as `build_activation`; ValueError also if the model has nothing to replace.

    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1), nn.Sigmoid())
    >>> replace_activations(model, "lerch"), type(model[1]).__name__, type(model[3]).__name__
    (1, 'Lerch', 'Sigmoid')
    """
    found = [
        (parent, child)
        for parent in model.modules()
        for child, module in parent.named_children()
        if type(module).__name__ in REPLACED
    ]
    if not found:
        raise ValueError(
            f"Activation {name!r} has nothing to replace in {type(model).__name__}: none of its modules is one of "
            f"{', '.join(sorted(REPLACED))}."
        )
    for parent, child in found:
        setattr(parent, child, build_activation(name, **params))
    return len(found)
