"""Checks of arguments, in one style: "Parameter `x` must be ... . Found ...", or a name and those that are known."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch

LISTED = 20
"""Known names that a message lists, at most."""


class UnknownName(ValueError):
    """A name that stands for nothing."""


def invalid(name: str, found: object, expected: str, *, of: str = "") -> ValueError:
    """The error of a parameter out of its range: which one, what it must be, what was found.

    >>> str(invalid("noise", 2.0, "from 0 to 1", of="the augmentation"))
    'Parameter `noise` of the augmentation must be from 0 to 1. Found 2.0.'
    """
    whose = f" of {of}" if of else ""
    return ValueError(f"Parameter `{name}`{whose} must be {expected}. Found {found!r}.")


def require(condition: bool, name: str, found: object, expected: str) -> None:
    """Raise a ValueError unless `condition` holds.

    >>> require(2 > 3, "epochs", 2, "more than 3")
    Traceback (most recent call last):
    ValueError: Parameter `epochs` must be more than 3. Found 2.
    """
    if not condition:
        raise invalid(name, found, expected)


def require_at_least(low: float, unit: str = "", /, **values: float) -> None:
    """Raise a ValueError for the first value below `low`, or NaN, by its name."""
    for name, value in values.items():
        require(value >= low, name, value, f"at least {low:g} {unit}".rstrip())


def require_above(low: float, /, **values: float) -> None:
    """Raise a ValueError for the first value that is not more than `low`, by its name."""
    for name, value in values.items():
        require(value > low, name, value, f"more than {low:g}")


def require_within(low: float, high: float, /, **values: float) -> None:
    """Raise a ValueError for the first value that is not from `low` to `high`, by its name."""
    for name, value in values.items():
        require(low <= value <= high, name, value, f"from {low:g} to {high:g}")


def require_between(low: float, high: float, /, **values: float) -> None:
    """Raise a ValueError for the first value outside the open interval (low, high), by its name."""
    for name, value in values.items():
        limits = f"more than {low:g} and " + ("finite" if high == math.inf else f"less than {high:g}")
        require(low < value < high, name, value, limits)


def require_choice(name: str, found: object, allowed: Collection[object]) -> None:
    """Raise a ValueError unless what was found is one of those allowed."""
    require(found in allowed, name, found, "one of " + ", ".join(map(str, allowed)))


def require_tensor(name: str, found: object, expected: str) -> None:
    """Raise a ValueError unless a tensor was given; of a list or a dictionary it says what is in it.

    >>> require_tensor("logits", {"out": 1, "aux": 2}, "a tensor")
    Traceback (most recent call last):
    ValueError: Parameter `logits` must be a tensor. Found a dict of out, aux: give the one that is meant.
    """
    if isinstance(found, torch.Tensor):
        return
    kind = type(found).__name__
    if isinstance(found, Mapping):
        kind = f"a dict of {', '.join(map(str, found))}: give the one that is meant"
    elif isinstance(found, list | tuple):
        kind = f"a {kind} of {len(found)}: give the one that is meant"
    raise ValueError(f"Parameter `{name}` must be {expected}. Found {kind}.")


def capturing(tensor: torch.Tensor) -> bool:
    """Whether work on the tensor's device is being captured into a CUDA graph, where no value can be looked at."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


def require_shape(name: str, found: Sequence[int], expected: Sequence[int]) -> None:
    """Raise a ValueError unless a tensor has the expected shape."""
    if tuple(found) != tuple(expected):
        raise ValueError(f"Parameter `{name}` must have shape {tuple(expected)}. Found {tuple(found)}.")


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise UnknownName unless `name` is known, with those that are or, of many, those that are close.

    >>> require_known("loss", "dise", ["dice", "iou"])
    Traceback (most recent call last):
    dmf.checks.UnknownName: Unknown loss 'dise'. Did you mean 'dice'? Known: dice, iou.
    """
    names = list(known)
    if name in names:
        return
    few = len(names) <= LISTED
    close = difflib.get_close_matches(name, names, n=1 if few else 5)
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    listed = f" Known: {', '.join(sorted(names)[:LISTED])}{'.' if few else ', ...'}" if few or not close else ""
    raise UnknownName(f"Unknown {kind} {name!r}.{hint}{listed}")


def refuse_unknown(component: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ValueError for the first given parameter that a component does not have, listing those that it has."""
    listed = list(known)
    for parameter in given:
        if parameter not in listed:
            raise ValueError(f"{component} has no parameter `{parameter}`. It takes {', '.join(listed) or 'none'}.")
