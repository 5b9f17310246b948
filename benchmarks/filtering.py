"""Bilateral filtering: this project (OpenCV) beside scikit-image and kornia on one core, threads, memory of the stage.

    python -m benchmarks.filtering

The rivals take turns on the same images, each on one core; processor time is counted, so that whatever else the machine
does matters little. OpenCV sums over the disc around a pixel, the others over the square (corners are further away than
the radius, and weigh little where it is large against sigma_space); `off by` is the largest and the mean difference of
their results from ours, in grey levels. The row whose radius is 3.5 sigma_space compares like with like. kornia filters
a batch of images at a time.

scikit-image 0.26 lays its table of distances out for a window one wider than the one that it reads, so that its kernel
is sheared; here it gets the right table, which costs the same time. `as released` is how far off it is without.

The stage itself is measured as it is used: files in, arrays out, peak memory of its process by number of images.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import kornia
import numpy as np
import skimage
import torch
from skimage.restoration import _denoise, denoise_bilateral

from benchmarks.filter_stage import speckle
from benchmarks.harness.measure import Action, take_turns
from benchmarks.harness.script import Results, benchmark, option
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.params import FilterParams

ROOT = Path(__file__).resolve().parents[1]
NEIGHBOURHOODS = ((5, 3.0), (9, 3.0), (15, 3.0), (15, 2.0))
"""Diameter and sigma_space, in pixels; the second is the default, the last reaches 3.5 sigma_space."""

BATCH = 8


@dataclass(frozen=True)
class Setting:
    sizes: tuple[int, ...] = option((128, 256), "sides of an image; the pool of threads takes the last")
    turns: int = option(9, "of each rival")
    pooled: int = option(200, "images for a pool of threads")
    counts: tuple[int, ...] = option((1_000, 5_000, 20_000), "images for the stage")


@contextmanager
def mended() -> Iterator[None]:
    """scikit-image with the table of distances that its window reads."""
    released = _denoise._compute_spatial_lut

    def table(win_size: int, sigma: float, *, dtype: type = float) -> np.ndarray:
        radius = win_size // 2
        distances = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1])
        return _denoise._gaussian_weight(distances, sigma**2, dtype=dtype).ravel()

    _denoise._compute_spatial_lut = table
    try:
        yield
    finally:
        _denoise._compute_spatial_lut = released


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


def by_mended_scikit_image(image: np.ndarray, params: FilterParams) -> np.ndarray:
    """By the equation: scikit-image with the right table."""
    with mended():
        return by_scikit_image(image, params)


def by_kornia(images: np.ndarray, params: FilterParams) -> np.ndarray:
    """The same filter on (B, H, W) at once, in float32."""
    batch = torch.from_numpy(images)[:, None].float()
    kernel, sigma = (params.diameter, params.diameter), (params.sigma_space, params.sigma_space)
    return kornia.filters.bilateral_blur(batch, kernel, params.sigma_range, sigma)[:, 0].round().byte().numpy()


def one_core(size: int, diameter: int, sigma: float, turns: int) -> dict[str, Any]:
    """Processor milliseconds an image, how many times faster ours is, and differences."""
    image, params = speckle(size), FilterParams(diameter=diameter, sigma_space=sigma)
    batch = np.stack([image] * BATCH)
    rivals: dict[str, Action] = {
        "opencv": lambda: bilateral(image, params),
        "scikit_image": lambda: by_mended_scikit_image(image, params),
        "kornia": lambda: by_kornia(batch, params),
    }
    times = take_turns(rivals, turns, clock=time.thread_time)
    result = bilateral(image, params).astype(int)
    off = {
        "as_released": np.abs(result - by_scikit_image(image, params)),
        "scikit_image": np.abs(result - by_mended_scikit_image(image, params)),
        "kornia": np.abs(result - by_kornia(image[None], params)[0]),
    }
    return {
        "size": size,
        "diameter": diameter,
        "sigma_space": sigma,
        "opencv_ms": 1000 * times["opencv"].best,
        "scikit_image_ms": 1000 * times["scikit_image"].best,
        "kornia_ms": 1000 * times["kornia"].best / BATCH,
        "times_scikit_image": times["scikit_image"].times(times["opencv"]),
        "times_kornia": times["kornia"].times(times["opencv"]) / BATCH,
        **{f"{name}_off_by_most": int(difference.max()) for name, difference in off.items()},
        **{f"{name}_off_by_mean": float(difference.mean()) for name, difference in off.items()},
    }


def threads(setting: Setting) -> list[dict[str, float]]:
    """Images a second through a pool of threads, default parameters."""
    images = [speckle(setting.sizes[-1])] * setting.pooled
    work = functools.partial(bilateral, params=FilterParams())

    def pooled(workers: int) -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, images))

    sizes = sorted({1, 2, os.cpu_count() or 1})
    times = take_turns({workers: functools.partial(pooled, workers) for workers in sizes}, setting.turns)
    return [{"threads": workers, "images_per_second": len(images) / taken.best} for workers, taken in times.items()]


def stage(count: int) -> dict[str, float]:
    """Peak memory and images a second of the filter stage on `count` files, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.filter_stage", str(count), folder]
        run = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return {"images": count, **json.loads(run.stdout.splitlines()[-1])}


def measure(setting: Setting) -> Results:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    cases = [(size, *neighbourhood) for size, neighbourhood in itertools.product(setting.sizes, NEIGHBOURHOODS)]
    return {
        "versions": {library.__name__: library.__version__ for library in (cv2, skimage, kornia)},
        "one_core": [one_core(*case, setting.turns) for case in cases],
        "threads": threads(setting),
        "stage": [stage(count) for count in setting.counts],
    }


main = benchmark("filtering", __doc__, Setting, measure)

if __name__ == "__main__":
    main()
