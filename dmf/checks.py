"""Checks of arguments, in one style: the parameter, what it must be, what was found."""

from __future__ import annotations


def require(condition: bool, name: str, found: object, expected: str) -> None:
    """Raise a ValueError in the style of the house unless `condition` holds."""
    if not condition:
        raise ValueError(f"Parameter `{name}` must be {expected}. Found {found!r}.")
