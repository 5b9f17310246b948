"""The simulated patients: who has which lesion, how many views of it, and the files that hold them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.core.console import track
from pipelines.fetch.phantom.anatomy import cast_shadows, grow_layers, grow_tissue
from pipelines.fetch.phantom.grid import CELLS, Grid
from pipelines.fetch.phantom.lesion import draw_lesion, insert, other_view, place, signed_distance
from pipelines.fetch.phantom.scanner import acquire, turn_knobs


@dataclass(frozen=True)
class Scan:
    """One simulated image with its lesion mask (0 and 255), both (CELLS / 2, CELLS / 2)."""

    patient: int
    view: int
    label: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]

    @property
    def stem(self) -> str:
        """Name of the image's file, without `.png`."""
        return f"p{self.patient + 1:04d}_v{self.view + 1}"


def simulate(index: int, seed: int) -> Scan:
    """Image number `index` of the cohort number `seed`; the same whenever it is asked for.

    Every four images are three patients, the last of them with two views of one lesion: probe turned, tissue around it
    and scanner's settings new. Every third such trio is malignant, about the proportion of BUSI.
    """
    trio, image_of_trio = divmod(index, 4)
    patient, view = 3 * trio + min(image_of_trio, 2), image_of_trio // 3
    malignant = trio % 3 == 2
    person = np.random.default_rng([seed, patient])
    lesion, grid = draw_lesion(person, malignant), Grid(extent=person.uniform(30, 42))

    rng = np.random.default_rng([seed, patient, 1 + view])
    lesion = other_view(rng, lesion) if view else lesion
    layers = grow_layers(rng, grid)
    tissue = cast_shadows(rng, grid, grow_tissue(rng, grid, layers), layers)
    distance = signed_distance(grid, layers, lesion, place(rng, grid, layers, lesion))
    image = acquire(rng, grid, insert(rng, grid, tissue, lesion, distance), turn_knobs(rng, grid))
    pixels = (distance < 0).reshape(CELLS // 2, 2, CELLS // 2, 2).mean(axis=(1, 3)) >= 0.5
    return Scan(patient, view, "malignant" if malignant else "benign", image, (255 * pixels).astype(np.uint8))


def generate(folder: Path, count: int, seed: int) -> None:
    """Write `count` images to `folder/<label>/p0001_v1.png`, each with its `p0001_v1_mask.png`, on all cores."""
    for label in ("benign", "malignant"):
        (folder / label).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        scans = threads.map(partial(_write, folder, seed), range(count))
        for _ in track(scans, "simulate ultrasound", total=count, unit="images"):
            pass


def _write(folder: Path, seed: int, index: int) -> None:
    scan = simulate(index, seed)
    Image.fromarray(scan.image).save(folder / scan.label / f"{scan.stem}.png")
    Image.fromarray(scan.mask).save(folder / scan.label / f"{scan.stem}_mask.png")
