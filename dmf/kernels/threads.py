"""Work in parts, on the threads that torch has."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def shares(count: int) -> list[tuple[int, int]]:
    """The first of `count` things that each thread takes, and the one behind its last, for `spread`."""
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
    team = _team()
    return list(_pool(threads, os.getpid()).map(work, parts)) if team is None else _by_team(team, work, parts)


def _by_team(team: ctypes.CDLL, work: Callable[[T], R], parts: list[T]) -> list[R]:
    """On torch's own threads, which spin for some milliseconds after its last operation: others wait for them."""
    results: dict[int, R] = {}
    errors: list[BaseException] = []
    waiting = iter(enumerate(parts))  # each thread takes the next

    def body(_: object) -> None:
        try:
            for i, part in waiting:
                results[i] = work(part)
        except BaseException as error:  # nothing catches it on that thread
            errors.append(error)

    team.GOMP_parallel(_BODY(body), None, torch.get_num_threads(), 0)
    if errors:
        raise errors[0]
    return [results[i] for i in range(len(parts))]


@functools.cache
def _team() -> ctypes.CDLL | None:
    """The OpenMP of GCC that torch came with; None where it has another."""
    found = list((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    if len(found) != 1 or "OpenMP" not in torch.__config__.parallel_info():
        return None
    team = ctypes.CDLL(str(found[0]))
    team.GOMP_parallel.argtypes = [_BODY, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    team.GOMP_parallel.restype = None
    return team


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """That of a process: a fork has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="dmf-kernel")
