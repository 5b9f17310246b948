"""An organ of two zones between muscles, and lesions in the organ, as T2-weighted magnetic resonance shows a prostate.

Intensities are shares of the brightest tissue: fat with muscles and vessels around the organ, its bright outer zone,
its darker inner zone, and lesions that are darker than what surrounds them. All of it differs from patient to patient,
so that no two volumes count as the same picture, in patches neither. Tissue is uneven, a smooth bias field multiplies
it, and the magnitude of a signal with complex noise follows a Rice distribution (Gudbjartsson and Patz, Magnetic
Resonance in Medicine 34, 1995). Slices are thicker than pixels, as they are there.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.core.console import track

Field = NDArray[np.float64]

SHAPE = (24, 48, 48)
"""Voxels by depth, height and width."""

SPACING = (3.0, 1.0, 1.0)
"""Millimetres from voxel to voxel, likewise."""

LABELS = ("benign", "cancer")


@dataclass(frozen=True)
class Volume:
    """One patient: uint16 voxels and the mask of the lesions (0 and 1), both of `SHAPE`."""

    patient: int
    label: str
    voxels: NDArray[np.uint16]
    mask: NDArray[np.uint8]

    @property
    def stem(self) -> str:
        """Name of the files, without `.nii.gz`."""
        return f"v{self.patient + 1:03d}"


def simulate(patient: int, seed: int) -> Volume:
    """Patient number `patient` of the cohort number `seed`; the same whenever asked for. Every fourth has no lesion."""
    rng = np.random.default_rng([seed, patient])
    places = _places()
    centre, half = rng.normal(0, 2.5, 3), rng.uniform((18, 10, 12), (26, 15, 18))
    organ = _ellipsoid(rng, places, centre, half, rough=0.06)
    inner = _ellipsoid(rng, places, centre - (0, 0.25 * half[1], 0), 0.6 * half, rough=0.1)
    tissue = np.full(SHAPE, rng.uniform(0.75, 0.9))
    for _ in range(rng.integers(6, 11)):
        place, size = rng.uniform(-24, 24, 3) * (1.5, 1, 1), rng.uniform((8, 2.5, 2.5), (40, 10, 10))
        structure = _ellipsoid(rng, places, place, size, rough=0.2)
        tissue += structure * (rng.uniform(0.15, 1.0) - tissue)
    tissue += organ * (rng.uniform(0.55, 0.7) - tissue)
    tissue += organ * inner * (rng.uniform(0.38, 0.48) - tissue)
    lesions = np.zeros(SHAPE)
    for _ in range(0 if patient % 4 == 3 else rng.integers(1, 3)):
        size = rng.uniform((6.0, 3.5, 3.5), (12.0, 7.5, 7.5))
        place = centre + rng.uniform(-0.6, 0.6, 3) * half
        lesions = np.maximum(lesions, organ * _ellipsoid(rng, places, place, size, rough=0.2))
    tissue += lesions * (rng.uniform(0.2, 0.3) - tissue)
    tissue *= 1 + 0.08 * _smooth(rng, 2.0)
    tissue *= np.exp(0.1 * _smooth(rng, 22.0))
    noise = rng.normal(0, rng.uniform(0.02, 0.05), (2, *SHAPE))
    signal = np.hypot(tissue + noise[0], noise[1])
    mask = (lesions > 0.5).astype(np.uint8)
    return Volume(patient, LABELS[int(mask.any())], np.rint(1000 * signal).astype(np.uint16), mask)


def generate(folder: Path, count: int, seed: int) -> None:
    """Write `count` volumes to `folder/images/<label>/v001.nii.gz`, masks likewise to `masks`, on all cores."""
    for kind in ("images", "masks"):
        for label in LABELS:
            (folder / kind / label).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        written = threads.map(partial(_write, folder, seed), range(count))
        for _ in track(written, "simulate volumes", total=count, unit="volumes"):
            pass


def _write(folder: Path, seed: int, patient: int) -> None:
    volume = simulate(patient, seed)
    for kind, voxels in (("images", volume.voxels), ("masks", volume.mask)):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing(SPACING[::-1])
        sitk.WriteImage(image, str(folder / kind / volume.label / f"{volume.stem}.nii.gz"), useCompression=True)


def _places() -> Field:
    """Millimetres from the centre of the volume, (3, *SHAPE)."""
    axes = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(SHAPE, SPACING, strict=True))
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _ellipsoid(rng: np.random.Generator, places: Field, centre: Field, half: Field, rough: float) -> Field:
    """1 inside and 0 outside of an ellipsoid with an uneven surface, over a voxel's width from one to the other."""
    relative = (places - centre[:, None, None, None]) / half[:, None, None, None]
    beyond = np.sqrt((relative**2).sum(0)) - 1 - rough * _smooth(rng, 4.0)
    return np.clip(0.5 - beyond * half.min(), 0, 1)


def _smooth(rng: np.random.Generator, millimetres: float) -> Field:
    """A Gaussian field of mean 0 and variance 1 with this correlation length."""
    field = ndimage.gaussian_filter(rng.standard_normal(SHAPE), [millimetres / step for step in SPACING], mode="wrap")
    return (field - field.mean()) / field.std()
