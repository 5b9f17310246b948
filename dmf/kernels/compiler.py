"""How a loop is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function as machine code, kept on disk from process to process; it must call none of another file.

    Nothing is reordered or contracted (`fastmath`): what the compiler makes of that differs between processes that
    find more or less of it on disk, and from one processor to the next. So sums have to be written as those of lanes.
    """
    options = {"error_model": "numpy", "nogil": True}
    try:
        return numba.njit(function, cache=True, **options)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the folder of this file nor the user's own cache can be written
        return numba.njit(function, **options)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """A piece of kernels of its own file."""
    return numba.njit(function, inline="always")  # type: ignore[no-any-return]
