"""Volumes (NIfTI, MetaImage) to arrays: several modalities on one grid, intensities as bytes.

Every volume is turned so that its axes run from foot to head, front to back, and right to left of the body.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar

import numpy as np
import SimpleITK as sitk
from jaxtyping import UInt8

from pipelines.core.console import StageError
from pipelines.datasets.readers.folders import VOLUMES
from pipelines.datasets.readers.images import size_text
from pipelines.datasets.readers.parts import Patches, Slices

CLIP = (0.5, 99.5)
"""Percentiles of the voxels other than 0 that become 0 and 255."""

Grid = Literal["same", "first"]
"""Of further modalities: `same` as the first file's voxel for voxel, or resampled to the `first`."""

Result = TypeVar("Result")
Paths = tuple[Path, ...]
Stamps = tuple[tuple[int, int], ...]
Spacing = tuple[float, float, float] | None

LOCKS = [Lock() for _ in range(32)]


def is_volume(path: Path) -> bool:
    """Whether its name says that a file is a volume."""
    return path.name.lower().endswith(VOLUMES)


def volume_size(path: Path) -> tuple[int, int, int]:
    """Depth, height and width as stored, from the header. Raises StageError if that cannot be read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    _checked(path, reader.ReadImageInformation)
    if reader.GetDimension() != 3:
        raise StageError(f"{path}: expected a volume of 3 axes. Found {reader.GetDimension()}. Split or remove it.")
    width, height, depth = reader.GetSize()
    return depth, height, width


def load_volume(paths: Sequence[Path], grid: Grid, cut: Slices | Patches | None) -> UInt8[np.ndarray, "D H W C"]:
    """Modalities as channels, each with the 0.5th to 99.5th percentile of its non-zero voxels spread over 0 to 255.

    Voxels of 0 are background in skull-stripped and in padded volumes: they take no part in the percentiles and stay 0,
    as do voxels that are no number.

    Raises:
        StageError: if a file cannot be read, or grids that must be the same differ.
    """
    return _once(_decode, tuple(paths), _spacing(cut), grid)


def load_volume_mask(paths: Sequence[Path], image: Path, cut: Slices | Patches | None) -> UInt8[np.ndarray, "D H W"]:
    """1 where any of the masks is not 0; voxel for voxel that of `image`, resampled as that is.

    Raises:
        StageError: if a file cannot be read or has another size than the image.
    """
    return _once(_decode_mask, (image, *paths), _spacing(cut))


def _once(decode: Callable[..., UInt8[np.ndarray, "*S"]], paths: Paths, *settings: object) -> UInt8[np.ndarray, "*S"]:
    """All threads ask for the slices of one volume one after the other: the first one decodes it, the others wait."""
    try:
        stamps = tuple((status.st_mtime_ns, status.st_size) for status in (path.stat() for path in paths))
    except FileNotFoundError as error:
        raise StageError(f"{error.filename}: no such file. Fetch the data set again.") from None
    with LOCKS[hash(paths) % len(LOCKS)]:
        array = decode(paths, stamps, *settings)
    array.flags.writeable = False
    return array


@lru_cache(maxsize=8)
def _decode(paths: Paths, stamps: Stamps, spacing: Spacing, grid: Grid) -> UInt8[np.ndarray, "D H W C"]:
    first = _read(paths[0])
    others = [_laid_over(first, paths[0], path) if grid == "same" else _read(path) for path in paths[1:]]
    reference = _reference(_upright(first), spacing)
    voxels = (_onto(reference, _upright(image), sitk.sitkLinear) for image in (first, *others))
    return np.stack([_bytes(array) for array in voxels], axis=-1)


@lru_cache(maxsize=8)
def _decode_mask(paths: Paths, stamps: Stamps, spacing: Spacing) -> UInt8[np.ndarray, "D H W"]:
    stored = _read(paths[0])
    reference = _reference(_upright(stored), spacing)
    masks = (_upright(_laid_over(stored, paths[0], path)) for path in paths[1:])
    marked = [_onto(reference, mask, sitk.sitkNearestNeighbor) != 0 for mask in masks]
    return np.logical_or.reduce(marked).astype(np.uint8)


def _bytes(voxels: np.ndarray) -> UInt8[np.ndarray, "D H W"]:
    voxels = np.nan_to_num(voxels, posinf=0, neginf=0)
    inside = voxels[voxels != 0]
    if not inside.size:
        return np.zeros(voxels.shape, np.uint8)
    low, high = np.percentile(inside, CLIP)
    if low == high:
        return np.where(voxels == 0, 0, 255).astype(np.uint8)
    scaled = np.rint((np.clip(voxels, low, high) - low) * (255 / (high - low))).astype(np.uint8)
    return np.where(voxels == 0, np.uint8(0), scaled)


def _read(path: Path) -> sitk.Image:
    volume_size(path)
    _check_whole(path)
    return _checked(path, lambda: sitk.ReadImage(str(path), sitk.sitkFloat32))


def _laid_over(first: sitk.Image, its_path: Path, path: Path) -> sitk.Image:
    """An image that is `first` voxel for voxel, wherever its own header says that it lies."""
    image = _read(path)
    if image.GetSize() != first.GetSize():
        raise StageError(
            f"{path}: {size_text(image.GetSize()[::-1])} voxels, but {its_path.name} has "
            f"{size_text(first.GetSize()[::-1])}. Resample it or remove the case."
        )
    image.CopyInformation(first)
    return image


def _upright(image: sitk.Image) -> sitk.Image:
    return sitk.DICOMOrient(image, "LPS")


def _reference(image: sitk.Image, spacing: Spacing) -> sitk.Image:
    if spacing is None:
        return image
    wanted = spacing[::-1]
    size = [
        max(1, round(length * old / new))
        for length, old, new in zip(image.GetSize(), image.GetSpacing(), wanted, strict=True)
    ]
    # Voxels are boxes: the corner of the first one stays where it is, not its centre.
    shift = [(new - old) / 2 for old, new in zip(image.GetSpacing(), wanted, strict=True)]
    origin = image.TransformContinuousIndexToPhysicalPoint(
        [offset / old for offset, old in zip(shift, image.GetSpacing(), strict=True)]
    )
    return sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, origin, wanted, image.GetDirection(), 0.0, sitk.sitkFloat32
    )


def _onto(reference: sitk.Image, image: sitk.Image, interpolator: int) -> np.ndarray:
    same = reference.GetSize() == image.GetSize() and np.allclose(
        (*reference.GetOrigin(), *reference.GetSpacing(), *reference.GetDirection()),
        (*image.GetOrigin(), *image.GetSpacing(), *image.GetDirection()),
        atol=1e-3,
    )
    return sitk.GetArrayFromImage(image if same else sitk.Resample(image, reference, sitk.Transform(), interpolator))


def _spacing(cut: Slices | Patches | None) -> Spacing:
    return cut.spacing if isinstance(cut, Patches) else None


def _checked(path: Path, read: Callable[[], Result]) -> Result:
    if not path.is_file():
        raise StageError(f"{path}: no such file. Fetch the data set again.")
    try:
        return read()
    except RuntimeError:  # its text is of the library's own files and lines
        raise _damaged(path, "damaged, truncated, or no NIfTI or MetaImage file") from None


def _check_whole(path: Path) -> None:
    """The library reads a NIfTI file that was cut short as zeros and does not say so."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    voxels = math.prod(header.GetSize())
    expected = float(header.GetMetaData("vox_offset")) + voxels * int(header.GetMetaData("bitpix")) // 8
    found = 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            while block := file.read(1 << 22):
                found += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from None
    if found < expected:
        raise _damaged(path, f"{found:,} bytes of {expected:,.0f}")


def _damaged(path: Path, reason: str) -> StageError:
    return StageError(f"{path}: cannot be read as a volume ({reason}). Replace it or fetch it again.")
