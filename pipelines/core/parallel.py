"""One function over many items on all cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

from pipelines.core.console import bar

Item = TypeVar("Item")
Result = TypeVar("Result")


def threaded(function: Callable[[Item], Result], items: Sequence[Item], description: str, *, unit: str) -> list[Result]:
    """Results in the items' order, behind a bar. The first exception is raised and what has not begun is dropped.

    Threads suffice because decoding, hashing and OpenCV release the interpreter lock; OpenCV's own threads are turned
    off meanwhile, as the two kinds would fight for the cores.
    """
    (results,) = threaded_blocks(function, [items], description, unit=unit)
    return results


def threaded_blocks(
    function: Callable[[Item], Result], blocks: Iterable[Sequence[Item]], description: str, *, unit: str
) -> Iterator[list[Result]]:
    """`threaded`, a block of items at a time: two blocks of results are in memory, the one that is worked on and the
    one before it, so that the cores are busy while the caller puts that away."""
    blocks = list(blocks)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        with bar(unit=unit) as progress:
            task = progress.add_task(description, total=sum(map(len, blocks)))
            started: deque[list[Future[Result]]] = deque()
            for block in blocks:
                started.append([pool.submit(function, item) for item in block])
                if len(started) == 2:
                    yield _results(started.popleft(), lambda: progress.advance(task))
            while started:
                yield _results(started.popleft(), lambda: progress.advance(task))
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(before)


def _results(futures: Iterable[Future[Result]], on_each: Callable[[], None]) -> list[Result]:
    results = []
    for future in futures:
        results.append(future.result())
        on_each()
    return results
