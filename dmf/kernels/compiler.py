"""How a loop is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])
_REORDER = {
    "contract",
    "nsz",
    "arcp",
    "reassoc",
}  # what a loop needs to be vectorised; NaN and infinity stay themselves


def compiled(function: F) -> F:
    """The function as machine code, kept on disk from process to process; it must call none of another file."""
    options = {"fastmath": _REORDER, "error_model": "numpy", "nogil": True}
    try:
        return numba.njit(function, cache=True, **options)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the folder of this file nor the user's own cache can be written
        return numba.njit(function, **options)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """A piece of kernels of its own file."""
    return numba.njit(function, inline="always")  # type: ignore[no-any-return]
