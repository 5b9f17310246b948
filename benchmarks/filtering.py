"""Bilateral filtering: this project (OpenCV) beside scikit-image and kornia on one core, threads, memory of the stage.

    python -m benchmarks.filtering

Prints three tables and writes benchmarks/results/filtering.json. The rivals take turns on the same images, each on one
core; processor time is counted, so that whatever else the machine does matters little. OpenCV sums over the disc around
a pixel, the others over the square (corners are further away than the radius, and weigh little where it is large
against sigma_space); `off by` is the largest and the mean difference of their results from ours, in grey levels. The
row whose radius is 3.5 sigma_space compares like with like. kornia filters a batch of images at a time.

scikit-image 0.26 lays its table of distances out for a window one wider than the one that it reads, so that its kernel
is sheared; here it gets the right table, which costs the same time. `as released` is how far off it is without.

The stage itself is measured as it is used: files in, arrays out, peak memory of its process by number of images.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import kornia
import numpy as np
import skimage
import torch
from skimage.restoration import _denoise, denoise_bilateral

from benchmarks.filter_stage import speckle
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.params import FilterParams

RESULTS = Path(__file__).parent / "results" / "filtering.json"
SIZES = (128, 256)
NEIGHBOURHOODS = ((5, 3.0), (9, 3.0), (15, 3.0), (15, 2.0))
"""Diameter and sigma_space, in pixels; the second is the default, the last reaches 3.5 sigma_space."""

REPEATS, BATCH = 9, 8
COUNTS = (1_000, 5_000, 20_000)


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


def milliseconds(run: Callable[..., object], *arguments: object, clock: Callable[[], float]) -> float:
    """Time of one call."""
    start = clock()
    run(*arguments)
    return 1000 * (clock() - start)


def one_core() -> list[dict[str, float]]:
    """Processor milliseconds an image, the best of several turns, how many times faster ours is, and differences."""
    rows, timed = [], functools.partial(milliseconds, clock=time.thread_time)
    for size, (diameter, sigma) in itertools.product(SIZES, NEIGHBOURHOODS):
        image, params = speckle(size), FilterParams(diameter=diameter, sigma_space=sigma)
        batch = np.stack([image] * BATCH)
        turns = [
            (
                timed(bilateral, image, params),
                timed(by_mended_scikit_image, image, params),
                timed(by_kornia, batch, params) / BATCH,
            )
            for _ in range(REPEATS)
        ]
        ours, scikit, kornias = (min(times) for times in zip(*turns, strict=True))
        result = bilateral(image, params).astype(int)
        off = {
            name: np.abs(result - other)
            for name, other in (
                ("as_released", by_scikit_image(image, params)),
                ("scikit_image", by_mended_scikit_image(image, params)),
                ("kornia", by_kornia(image[None], params)[0]),
            )
        }
        rows.append(
            {
                "size": size,
                "diameter": diameter,
                "sigma_space": sigma,
                "opencv_ms": ours,
                "scikit_image_ms": scikit,
                "kornia_ms": kornias,
                "times_scikit_image": scikit / ours,
                "times_kornia": kornias / ours,
                **{f"{name}_off_by_most": int(difference.max()) for name, difference in off.items()},
                **{f"{name}_off_by_mean": float(difference.mean()) for name, difference in off.items()},
            }
        )
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


def stage(count: int) -> dict[str, float]:
    """Peak memory and images a second of the filter stage on `count` files, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.filter_stage", str(count), folder]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"images": count, **json.loads(run.stdout.splitlines()[-1])}


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    single, pooled = one_core(), threads()
    heads = ("pixels", "d", "sigma", "ours ms", "scikit-image", "off by", "as released", "kornia", "off by")
    print("{:>6} {:>3} {:>6} {:>8} {:>13} {:>10} {:>12} {:>7} {:>10}".format(*heads))
    for row in single:
        print(
            "{size:6d} {diameter:3d} {sigma_space:6.1f} {opencv_ms:8.2f} {times_scikit_image:12.1f}x "
            "{scikit_image_off_by_most:4d} {scikit_image_off_by_mean:5.2f} "
            "{as_released_off_by_most:6d} {as_released_off_by_mean:5.2f} {times_kornia:6.1f}x "
            "{kornia_off_by_most:4d} {kornia_off_by_mean:5.2f}".format(**row)
        )
    print(f"\n{'threads':>7} {'images/s':>9}")
    for row in pooled:
        print("{threads:7d} {images_per_second:9.0f}".format(**row))
    print(f"\n{'images':>7} {'peak MiB':>9} {'before':>8} {'arrays':>8} {'images/s':>9}")
    stages = []
    for count in COUNTS:
        stages.append(stage(count))
        print(
            "{images:7d} {peak_mib:9.0f} {before_mib:8.0f} {arrays_mib:8.0f} {images_per_second:9.0f}".format(
                **stages[-1]
            )
        )
    versions = {
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "scikit_image": skimage.__version__,
        "kornia": kornia.__version__,
        "torch": torch.__version__,
    }
    record = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "versions": versions,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**record, "one_core": single, "threads": pooled, "stage": stages}, indent=2) + "\n")


if __name__ == "__main__":
    main()
