"""Bilateral filtering: this project (OpenCV) beside scikit-image on one core, and how threads share the work.

    python -m benchmarks.filtering

Prints two tables and writes benchmarks/results/filtering.json. The rivals take turns on the same images, and
processor time is counted, so that whatever else the machine does matters little. scikit-image sums over the square
around a pixel, OpenCV over the disc in it (about 0.8 of the pixels); both read the range kernel from a table.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import skimage
from skimage.restoration import denoise_bilateral

from pipelines.filter.bilateral import bilateral
from pipelines.params import FilterParams

RESULTS = Path(__file__).parent / "results" / "filtering.json"
SIZES, DIAMETERS = (128, 256), (5, 9, 15)
REPEATS = 15


def speckle(size: int) -> np.ndarray:
    """A step with Rayleigh speckle on it."""
    step = np.where(np.arange(size) < size // 2, 40.0, 120.0)
    return np.clip(step * np.random.default_rng(0).rayleigh(1.0, (size, size)), 0, 255).astype(np.uint8)


def by_scikit_image(image: np.ndarray, params: FilterParams) -> np.ndarray:
    """The same filter; grey levels are scaled to [0, 1], as its look-up table of ranges expects."""
    smooth = denoise_bilateral(
        image / np.float32(255),
        win_size=params.diameter,
        sigma_color=params.sigma_range / 255,
        sigma_spatial=params.sigma_space,
        mode="reflect",
    )
    return np.rint(smooth * 255).astype(np.uint8)


def milliseconds(run: Callable[..., object], *arguments: object, clock: Callable[[], float]) -> float:
    """Time of one call."""
    start = clock()
    run(*arguments)
    return 1000 * (clock() - start)


def one_core() -> list[dict[str, float]]:
    """Processor milliseconds an image, the best of several turns, and how many times faster ours is."""
    rows, timed = [], functools.partial(milliseconds, clock=time.thread_time)
    for size, diameter in itertools.product(SIZES, DIAMETERS):
        task = speckle(size), FilterParams(diameter=diameter)
        turns = [(timed(bilateral, *task), timed(by_scikit_image, *task)) for _ in range(REPEATS)]
        ours, theirs = (min(times) for times in zip(*turns, strict=True))
        row = {"size": size, "diameter": diameter, "opencv": ours, "scikit_image": theirs, "ratio": theirs / ours}
        rows.append(row)
    return rows


def threads() -> list[dict[str, float]]:
    """Images a second through a pool of threads, the best of several turns, default parameters at 256 pixels."""
    images = [speckle(256)] * 200
    work = functools.partial(bilateral, params=FilterParams())
    best: dict[int, float] = {}
    for _ in range(REPEATS):
        for workers in sorted({1, 2, os.cpu_count() or 1}):
            with ThreadPoolExecutor(workers) as pool:
                spent = milliseconds(lambda pool=pool: list(pool.map(work, images)), clock=time.perf_counter)
            best[workers] = min(spent, best.get(workers, spent))
    return [{"threads": workers, "images_per_second": 1000 * len(images) / best[workers]} for workers in best]


def main() -> None:
    cv2.setNumThreads(1)
    single, pooled = one_core(), threads()
    print(f"{'pixels':>6} {'diameter':>8} {'OpenCV ms':>10} {'scikit-image ms':>16} {'faster':>7}")
    for row in single:
        print("{size:6d} {diameter:8d} {opencv:10.2f} {scikit_image:16.2f} {ratio:6.1f}x".format(**row))
    print(f"\n{'threads':>7} {'images/s':>9}")
    for row in pooled:
        print("{threads:7d} {images_per_second:9.0f}".format(**row))
    versions = {"python": platform.python_version(), "opencv": cv2.__version__, "scikit_image": skimage.__version__}
    record = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "versions": versions}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**record, "one_core": single, "threads": pooled}, indent=2) + "\n")


if __name__ == "__main__":
    main()
