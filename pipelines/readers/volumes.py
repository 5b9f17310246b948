"""Volumes (NIfTI, MetaImage): as slices or as patches, several modalities on one grid, intensities as bytes.

Every volume is turned so that its axes run head-foot (axial slices), front-back (coronal) and left-right (sagittal);
`VOLUMES` are the file names that are taken for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal, TypeVar

import numpy as np
import SimpleITK as sitk
from jaxtyping import UInt8
from pydantic import Field

from pipelines.console import StageError
from pipelines.readers.images import size_text
from pipelines.readers.parts import Index, part_text, tiles
from tune_spaces.strict_yaml import StrictModel

VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd")
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
CLIP = (0.5, 99.5)
"""Percentiles of the voxels other than 0 that become 0 and 255."""

Grid = Literal["same", "first"]
"""Of further modalities: `same` must be the first file's, `first` means resampled to the first file's."""

Result = TypeVar("Result")
Side = Annotated[int, Field(ge=1)]
Millimetres = Annotated[float, Field(gt=0)]

LOCKS = [Lock() for _ in range(32)]


class Slices(StrictModel):
    """Volumes as pictures.

    Attributes:
        axis: What the slices are perpendicular to: axial is across the body.
        keep: `lesion`: slices whose mask is not empty; `all`.
        every: 2 keeps every second one of those, and so on.
    """

    cut: Literal["slices"]
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    keep: Literal["lesion", "all"] = "lesion"
    every: int = Field(default=1, ge=1)


class Patches(StrictModel):
    """Volumes as blocks that cover them.

    Attributes:
        size: Voxels of a patch by depth, height and width.
        spacing: Millimetres from voxel to voxel by depth, height and width, resampled to; as it is if not given.
        keep: `lesion`: patches whose mask is not empty; `all`.
    """

    cut: Literal["patches"]
    size: Annotated[tuple[Side, Side, Side], Field(strict=False)]
    spacing: Annotated[tuple[Millimetres, Millimetres, Millimetres], Field(strict=False)] | None = None
    keep: Literal["lesion", "all"] = "lesion"


VolumeCut = Annotated[Slices | Patches, Field(discriminator="cut")]


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


def parts_of(mask: UInt8[np.ndarray, "D H W"], cut: Slices | Patches) -> list[str]:
    """The parts that `cut` keeps of a volume with this mask, in order."""
    indices: list[tuple[Index, ...]]
    if isinstance(cut, Slices):
        axis = AXES[cut.axis]
        indices = [(slice(None),) * axis + (number,) for number in range(mask.shape[axis])]
    else:
        depths, rows, columns = (tiles(length, side) for length, side in zip(mask.shape, cut.size, strict=True))
        indices = [(depth, row, column) for depth in depths for row in rows for column in columns]
    kept = [part_text(index) for index in indices if cut.keep == "all" or mask[index].any()]
    return kept[:: cut.every] if isinstance(cut, Slices) else kept


def load_volume(paths: Sequence[Path], grid: Grid, cut: Slices | Patches | None) -> UInt8[np.ndarray, "D H W C"]:
    """Modalities as channels, each with the 0.5th to 99.5th percentile of its non-zero voxels spread over 0 to 255.

    Voxels of 0 are background in skull-stripped and in padded volumes, so they take no part in the percentiles.

    Raises:
        StageError: if a file cannot be read, or grids that must be the same differ.
    """
    return _remembered(tuple(paths), grid, _spacing(cut))


def load_volume_mask(paths: Sequence[Path], image: Path, cut: Slices | Patches | None) -> UInt8[np.ndarray, "D H W"]:
    """1 where any of the masks is not 0, on the grid of `image`.

    Raises:
        StageError: if a file cannot be read or has another size than the image.
    """
    reference = _reference(_read(image), _spacing(cut))
    masks = [_onto(reference, _read(path), sitk.sitkNearestNeighbor) != 0 for path in paths]
    return np.logical_or.reduce(masks).astype(np.uint8)


def _remembered(paths: tuple[Path, ...], grid: Grid, spacing: tuple[float, ...] | None) -> UInt8[np.ndarray, "D H W C"]:
    """Slices of one volume are asked for one after the other by all threads: it is decoded once."""
    try:
        stamps = tuple((status.st_mtime_ns, status.st_size) for status in (path.stat() for path in paths))
    except FileNotFoundError as error:
        raise StageError(f"{error.filename}: no such file. Fetch the data set again.") from None
    with LOCKS[hash(paths) % len(LOCKS)]:
        return _decoded(paths, grid, spacing, stamps)


@lru_cache(maxsize=8)
def _decoded(
    paths: tuple[Path, ...], grid: Grid, spacing: tuple[float, ...] | None, stamps: tuple[tuple[int, int], ...]
) -> UInt8[np.ndarray, "D H W C"]:
    first, *others = (_read(path) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        if grid == "same" and other.GetSize() != first.GetSize():
            raise StageError(
                f"{path}: {size_text(other.GetSize()[::-1])} voxels, but {paths[0].name} has "
                f"{size_text(first.GetSize()[::-1])}. Resample it or remove the case."
            )
    reference = _reference(first, spacing)
    stack = np.stack([_bytes(_onto(reference, image, sitk.sitkLinear)) for image in (first, *others)], axis=-1)
    stack.flags.writeable = False
    return stack


def _bytes(voxels: np.ndarray) -> UInt8[np.ndarray, "D H W"]:
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
    image = _checked(path, lambda: sitk.ReadImage(str(path), sitk.sitkFloat32))
    return sitk.DICOMOrient(image, "LPS")


def _reference(image: sitk.Image, spacing: tuple[float, ...] | None) -> sitk.Image:
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


def _spacing(cut: Slices | Patches | None) -> tuple[float, ...] | None:
    return cut.spacing if isinstance(cut, Patches) else None


def _checked(path: Path, read: Callable[[], Result]) -> Result:
    if not path.is_file():
        raise StageError(f"{path}: no such file. Fetch the data set again.")
    try:
        return read()
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1].strip()
        raise StageError(f"{path}: cannot be read as a volume ({last}). Replace it or fetch it again.") from None
