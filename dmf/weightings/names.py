"""Names of losses: which ones a step must have, in which order they stand, and how they lie in a `state_dict`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from dmf.checks import require


def require_names(names: Iterable[str], num_losses: int | None = None) -> tuple[str, ...]:
    """The names as a tuple. Raises a ValueError unless they are N different texts, or one at least if N is None."""
    found = () if isinstance(names, str) else tuple(names)
    texts = all(isinstance(name, str) for name in found)
    expected = f"{num_losses or 'one or more'} different names of losses"
    require(texts and len(set(found)) == len(found) == (num_losses or len(found)) > 0, "losses", names, expected)
    return found


def in_order(losses: Mapping[str, Tensor], names: Sequence[str]) -> list[Tensor]:
    """The losses in the order of `names`. Raises a ValueError unless they are just these.

    >>> [loss.item() for loss in in_order({"depth": torch.tensor(2), "edges": torch.tensor(1)}, ["edges", "depth"])]
    [1, 2]
    """
    wrong = [f"`{name}` is missing" for name in names if name not in losses]
    wrong += [f"`{name}` is new" for name in losses if name not in names]
    if wrong:
        raise ValueError(
            f"Every step must have the losses {_listed(names)}. Here {', '.join(wrong)}. "
            "A weighting of other losses is another one: build it anew."
        )
    return [losses[name] for name in names]


def require_same(saved: tuple[str, ...], own: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names in a `state_dict`. Raises a ValueError where a weighting has others, or the same in another order.

    >>> require_same(("edges", "depth"), None)
    ('edges', 'depth')
    """
    if own not in (None, saved):
        raise ValueError(
            f"The state is of the losses {_listed(saved)}; this weighting is of {_listed(own or ())}. Build it for the "
            "same names in the same order, which is that of its weights."
        )
    return saved


def require_losses(
    losses: Sequence[Tensor], num_losses: int, shape: tuple[int, ...] = (), names: Sequence[str] | None = None
) -> list[Tensor]:
    """The losses as a list. Raises a ValueError unless they are N tensors of that shape."""
    require(len(losses) == num_losses, "losses", len(losses), f"{num_losses} tensors")
    for index, loss in enumerate(losses):
        if not isinstance(loss, Tensor) or loss.shape != shape:
            which = f"`{names[index]}`" if names else str(index)
            found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            expected = ", one loss for each of two batches" if shape else ", as `.mean()` makes it"
            raise ValueError(f"Loss {which} must be a tensor of shape {shape}{expected}. Found {found}.")
    return [*losses]


def encoded(names: Sequence[str]) -> UInt8[Tensor, " n"]:
    """The names as a tensor: formats such as safetensors hold nothing else.

    >>> decoded(encoded(["depth", "Kanten, grün"]))
    ('depth', 'Kanten, grün')
    """
    return torch.tensor(list(json.dumps(names).encode()), dtype=torch.uint8)


def decoded(state: UInt8[Tensor, " n"]) -> tuple[str, ...]:
    """What `encoded` was given."""
    return tuple(json.loads(bytes(state.tolist())))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
