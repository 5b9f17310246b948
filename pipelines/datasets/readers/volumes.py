"""Volumes to arrays: several modalities on one grid, intensities as bytes, masks as their images lie.

Every volume is turned so that its axes run from foot to head, front to back, and right to left of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float32, UInt8

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import Header, read_voxels
from pipelines.datasets.readers.grids import UPRIGHT, Grid, Turn, same_voxels, turn_towards, turned, turned_voxels
from pipelines.datasets.readers.intensities import as_bytes, as_classes, as_labels
from pipelines.datasets.readers.masks import TWO_CLASSES
from pipelines.datasets.readers.meaning import Meaning
from pipelines.datasets.readers.parts import Patches, Slices
from pipelines.datasets.readers.volume_files import files_of, read_header

Alignment = Literal["same", "first"]
"""Of further modalities: `same` as the first file's voxel for voxel, or resampled to the `first`."""

Result = TypeVar("Result")
Paths = tuple[Path, ...]
Stamps = tuple[tuple[int, int], ...]
Spacing = tuple[float, float, float] | None

MOST_VOXELS = 2**30
"""As many a volume may have after it was resampled: 4 GB of numbers."""

LOCKS = [Lock() for _ in range(32)]


@dataclass(frozen=True, eq=False)
class Volume:
    """Values of voxels, each with its channels, and where they lie."""

    grid: Grid
    values: Float32[np.ndarray, "D H W C"]

    def turned(self, turn: Turn) -> Volume:
        """The same voxels in another order."""
        return Volume(turned(self.grid, turn), turned_voxels(self.values, turn))

    def upright(self) -> Volume:
        """With axes along the body's own, as nearly as they go."""
        return self.turned(turn_towards(self.grid, UPRIGHT))


@dataclass(frozen=True, eq=False)
class Decoded:
    """Voxels as bytes, and the share of the files' values that are no number."""

    voxels: UInt8[np.ndarray, "D H W C"]
    padding: float


def volume_size(path: Path) -> tuple[int, int, int]:
    """Depth, height and width as stored, from the header. Raises StageError if that cannot be read."""
    width, height, depth = read_header(path).grid.size
    return depth, height, width


def load_volume(paths: Sequence[Path], grid: Alignment, cut: Slices | Patches | None) -> UInt8[np.ndarray, "D H W C"]:
    """Modalities as channels, each as `as_bytes` has it; a file with several values for each voxel has as many.

    Raises:
        StageError: if a file cannot be read, or grids that must be the same differ.
    """
    return _image(paths, grid, cut).voxels


def volume_padding(paths: Sequence[Path], grid: Alignment, cut: Slices | Patches | None) -> float:
    """Which share of an image's values is no number: not a number, or infinite. Raises StageError as `load_volume`."""
    return _image(paths, grid, cut).padding


def load_volume_mask(
    paths: Sequence[Path], image: Path, cut: Slices | Patches | None, meaning: Meaning = TWO_CLASSES
) -> UInt8[np.ndarray, "D H W"]:
    """The class index of each voxel (`as_classes`), the highest where several masks name one; resampled as the image.

    Raises:
        StageError: if a file cannot be read, its values are no labels or it does not lie on its image.
    """
    values = None if meaning.values is None else tuple(meaning.values.items())
    return _once(_decode_mask, (image, *paths), _spacing(cut), meaning.classes, values)


def check_volumes(image: Path, modalities: Sequence[Path], masks: Sequence[Path], alignment: Alignment) -> None:
    """Look at the headers of a case's files.

    Raises:
        StageError: if one cannot be read, a mask does not lie on its image, or nor does a modality that must.
    """
    grid = read_header(image).grid
    for path in modalities:
        found = read_header(path).grid
        if alignment == "same":
            _onto_axes(path, "modality", found, image, grid)
    for path in masks:
        _onto_axes(path, "mask", _mask_header(path).grid, image, grid)


def _image(paths: Sequence[Path], grid: Alignment, cut: Slices | Patches | None) -> Decoded:
    return _once(_decode, tuple(paths), _spacing(cut), grid)


def _once(decode: Callable[..., Result], paths: Paths, *settings: object) -> Result:
    """All threads ask for the slices of one volume one after the other: the first one decodes it, the others wait."""
    files = [file for path in paths for file in files_of(path)]
    try:
        stamps = tuple((status.st_mtime_ns, status.st_size) for status in (file.stat() for file in files))
    except FileNotFoundError as error:
        raise StageError(f"{error.filename}: no such file. Bring it back.") from None
    with LOCKS[hash(paths) % len(LOCKS)]:
        return decode(paths, stamps, *settings)


@lru_cache(maxsize=8)
def _decode(paths: Paths, stamps: Stamps, spacing: Spacing, alignment: Alignment) -> Decoded:
    first = _read(paths[0])
    others = [_laid_on(first, paths[0], path) if alignment == "same" else _read(path) for path in paths[1:]]
    upright = [volume.upright() for volume in (first, *others)]
    grid = _spaced(paths[0], upright[0].grid, spacing)
    values = np.concatenate([_on(grid, volume, sitk.sitkLinear) for volume in upright], axis=-1)
    voxels = np.stack([as_bytes(values[..., channel]) for channel in range(values.shape[-1])], axis=-1)
    voxels.flags.writeable = False
    shown = np.mean([np.isfinite(volume.values).mean() for volume in upright])
    return Decoded(voxels, float(1 - shown))


@lru_cache(maxsize=8)
def _decode_mask(
    paths: Paths, stamps: Stamps, spacing: Spacing, classes: tuple[str, ...], values: tuple[tuple[str, str], ...] | None
) -> UInt8[np.ndarray, "D H W"]:
    meaning = Meaning(classes, None if values is None else dict(values))
    image, *masks = paths
    stored = read_header(image).grid
    turn = turn_towards(stored, UPRIGHT)
    grid = _spaced(image, turned(stored, turn), spacing)
    turned_masks = (_classes(path, image, stored, meaning).turned(turn) for path in masks)
    union = np.maximum.reduce([_on(grid, mask, sitk.sitkNearestNeighbor)[..., 0] for mask in turned_masks])
    union = np.nan_to_num(union).astype(np.uint8)  # what lies outside the mask's own box is background
    union.flags.writeable = False
    return union


def _read(path: Path) -> Volume:
    header = read_header(path)
    return Volume(header.grid, read_voxels(header))


def _laid_on(first: Volume, its_path: Path, path: Path) -> Volume:
    """A modality whose voxels are those of `first`, in the same order."""
    volume = _read(path)
    turn = _onto_axes(path, "modality", volume.grid, its_path, first.grid)
    return Volume(first.grid, turned_voxels(volume.values, turn))


def _classes(path: Path, image: Path, grid: Grid, meaning: Meaning) -> Volume:
    """Class indices in the order of the image's voxels."""
    header = _mask_header(path)
    turn = _onto_axes(path, "mask", header.grid, image, grid)
    labels = as_labels(path, read_voxels(header)[..., 0], meaning)
    classes = as_classes(path, labels, meaning).astype(np.float32)
    return Volume(grid, turned_voxels(classes[..., None], turn))


def _mask_header(path: Path) -> Header:
    header = read_header(path)
    if header.components > 1:
        raise StageError(
            f"{path}: a mask with {header.components} values for each voxel. Expected one label. Merge them."
        )
    if header.scales:
        raise StageError(
            f"{path}: a mask whose header scales its values (slope {header.slope:g}, intercept {header.intercept:g}). "
            "Expected labels as they are stored. Save it without scaling."
        )
    return header


def _onto_axes(path: Path, kind: str, grid: Grid, image: Path, reference: Grid) -> Turn:
    """How a file's voxels are brought into the order of its image's."""
    turn = turn_towards(grid, reference.directions)
    if not same_voxels(turned(grid, turn), reference):
        raise StageError(
            f"{path}: the {kind} has {grid}, its image {image.name} has {reference}. Expected the same voxels, in any "
            f"order of axes. Resample the {kind} onto its image, or correct the header that is wrong."
        )
    return turn


def _spaced(path: Path, grid: Grid, spacing: Spacing) -> Grid:
    """The same box with other spacing (by depth, height and width)."""
    if spacing is None:
        return grid
    wanted = np.array(spacing[::-1])
    lengths = np.maximum(1, np.rint(grid.size * grid.spacing / wanted))
    if lengths.prod() > MOST_VOXELS:
        raise StageError(
            f"{path}: {grid}. With `spacing: {list(spacing)}` they would be {lengths.prod():.3g}. Correct the header, "
            "or `spacing` in the catalogue."
        )
    width, height, depth = lengths.astype(int).tolist()
    # Voxels are boxes: the corner of the first one stays where it is, not its centre.
    origin = grid.origin + grid.directions @ ((wanted - grid.spacing) / 2)
    return Grid((width, height, depth), wanted, origin, grid.directions)


def _on(grid: Grid, volume: Volume, interpolator: int) -> Float32[np.ndarray, "D H W C"]:
    """The values at the places of a grid; what lies outside the volume is no number."""
    own = volume.grid
    if (
        grid.size == own.size
        and np.allclose(grid.steps, own.steps, atol=1e-3)
        and np.allclose(grid.origin, own.origin, atol=1e-3)
    ):
        return volume.values
    channels = []
    for channel in np.moveaxis(volume.values, -1, 0):
        image = sitk.GetImageFromArray(np.ascontiguousarray(channel))
        image.SetSpacing(own.spacing.tolist())
        image.SetOrigin(own.origin.tolist())
        image.SetDirection(own.directions.ravel().tolist())
        channels.append(
            sitk.GetArrayFromImage(
                sitk.Resample(
                    image,
                    grid.size,
                    sitk.Transform(),
                    interpolator,
                    grid.origin.tolist(),
                    grid.spacing.tolist(),
                    grid.directions.ravel().tolist(),
                    float("nan"),
                )
            )
        )
    return np.stack(channels, axis=-1)


def _spacing(cut: Slices | Patches | None) -> Spacing:
    return cut.spacing if isinstance(cut, Patches) else None
