"""Loops over arrays in memory, compiled where numba is installed (`pip install 'dynamic-memory-fusion[fast]'`).

Whoever has a kernel also has torch's operations for the same result: on other devices, in other types, without numba,
under `torch.compile` and under function transforms. `usable` says which it is. Import a module of kernels where it is
used, inside of the function: to import numba takes a third of a second.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")


_PLAIN = torch._C._dispatch_keys(torch.empty(0))  # noqa: SLF001
"""What torch says of a tensor in a processor's memory that nothing stands behind: no transform, no subclass."""


@functools.cache
def installed() -> bool:
    """Whether numba is there and can be imported beside this numpy; warns if it is there and cannot."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        importlib.import_module("numba")
    except Exception as error:
        warnings.warn(f"numba cannot be imported, so torch's own operations are used: {error}", stacklevel=2)
        return False
    return True


def usable(*tensors: Tensor) -> bool:
    """Whether a kernel may look at the memory of these tensors: plain ones of a processor, outside of any transform."""
    return (
        not torch.compiler.is_compiling()
        and all(_PLAIN | torch._C._dispatch_keys(tensor) == _PLAIN for tensor in tensors)  # noqa: SLF001
        and torch._C._len_torch_dispatch_stack() == 0  # noqa: SLF001
        and installed()
    )


def shares(count: int) -> list[tuple[int, int]]:
    """The first and the last but one of `count` things that each thread takes, for `spread`."""
    threads = max(1, min(torch.get_num_threads(), count))
    return [(count * at // threads, count * (at + 1) // threads) for at in range(threads)]


def spread(work: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """`work` of each part, in order, on as many threads as torch uses; kernels let go of the interpreter's lock.

    What is summed must not depend on the number of threads, so that the sums do not either.
    """
    parts = list(parts)
    threads = min(torch.get_num_threads(), len(parts))
    if threads < 2:
        return [work(part) for part in parts]
    return list(_pool(threads).map(work, parts))


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="dmf-kernel")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of its parent's threads
