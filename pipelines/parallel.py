"""One function over many items on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2

from pipelines.console import track

Item = TypeVar("Item")
Result = TypeVar("Result")


def threaded(function: Callable[[Item], Result], items: Sequence[Item], description: str, *, unit: str) -> list[Result]:
    """Results in the items' order, behind a bar. The first exception is raised and what has not begun is dropped.

    Threads suffice because decoding, hashing and OpenCV release the interpreter lock; OpenCV's own threads are turned
    off meanwhile, as the two kinds would fight for the cores.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        return list(track(pool.map(function, items), description, total=len(items), unit=unit))
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(before)
