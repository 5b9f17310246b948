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
from torch import Tensor, nn

T = TypeVar("T")
R = TypeVar("R")


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
        all(type(tensor) in (Tensor, nn.Parameter) and tensor.device.type == "cpu" for tensor in tensors)
        and not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is None  # noqa: SLF001
        and torch._C._len_torch_dispatch_stack() == 0  # noqa: SLF001
        and installed()
    )


def spread(work: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """`work` of each part, in order, on as many threads as torch uses; kernels let go of the interpreter's lock.

    Parts must not depend on the number of threads, so that sums over them do not either.
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
