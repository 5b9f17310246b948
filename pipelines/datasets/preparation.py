"""One case as training reads it: planes of bytes, filtered ones, and what they show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from pipelines.core.console import StageError
from pipelines.core.images import as_channels, resize_image, resize_mask
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.cases import case_image, case_mask
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import FilterParams
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.images import size_text
from pipelines.datasets.readers.parts import Patches
from pipelines.datasets.readers.volume_files import files_of, stored_checksum


class Row(NamedTuple):
    """What a row of the split table says about files, as `DataFrame.itertuples` gives it."""

    Index: int
    image: str
    masks: str
    label: str
    sha256: str

    @property
    def case(self) -> Case:
        """The case that it names."""
        return Case.named(self.image, self.masks, self.label)


@dataclass(frozen=True)
class Converted:
    """Entries of the arrays, and (height, width) of the image before it was resized; S is H, W or D, H, W."""

    image: UInt8[np.ndarray, "C ..."]
    filtered: UInt8[np.ndarray, "C ..."]
    target: UInt8[np.ndarray, ...]
    original: tuple[int, int]


def spatial_shape(entry: DatasetEntry, size: int) -> tuple[int, ...]:
    """Sides of a data set's arrays for trials of `image_size` `size`: those of patches of volumes, else a square's.

    Raises:
        StageError: if patches are of another size; they are not resized.
    """
    if not isinstance(entry.volume, Patches):
        return size, size
    depth, *sides = entry.volume.size
    if sides != [size, size]:
        raise StageError(
            f"{entry.name} is cut into patches of {' x '.join(map(str, entry.volume.size))} voxels (depth x height x "
            f"width), which are not resized, but `image_size` is {size}. Let it be the height and width of the patches "
            "in the study, or change `volume: {size: ...}` in the catalogue."
        )
    return depth, size, size


def convert(entry: DatasetEntry, raw: Path, row: Row, size: int, params: FilterParams) -> Converted:
    """Read, resize and filter one case, for trials of `image_size` `size`.

    Colours are filtered together, by one weight; modalities, which show different things, and the slices of a volume
    each for itself.

    Raises:
        StageError: naming a file that is missing, has changed, cannot be read or does not fit.
    """
    case = row.case
    _check_unchanged(raw, case, row.sha256)
    try:
        image = as_channels(_channels_as_said(entry, case_image(entry, raw, case)), entry.channels)
    except ValueError as error:
        raise StageError(f"{raw / case.image}: {error} Correct `channels` of {entry.name} in the catalogue.") from None
    target = _target(entry, raw, case, image)
    if isinstance(entry.volume, Patches):
        planes, (_, height, width) = _planes(image, 3), image.shape[:3]
    else:
        planes, (height, width) = square_planes(image, size), image.shape[:2]
        target = resize_mask(target, size) if target.ndim else target
    colour = entry.channels == 3 and entry.volume is None and not case.modalities
    return Converted(planes, filtered(planes, params, together=colour), target, (height, width))


def _channels_as_said(entry: DatasetEntry, image: UInt8[np.ndarray, ...]) -> UInt8[np.ndarray, ...]:
    """Modalities are never mixed into one grey, as colours are. Raises ValueError if a volume has others than said."""
    if entry.volume is not None and image.shape[-1] not in (1, entry.channels):
        expected = f"1 or {entry.channels} channels" if entry.channels > 1 else "1 channel"
        raise ValueError(f"expected a volume of {expected}. Found {image.shape[-1]}.")
    return image


def filtered(planes: UInt8[np.ndarray, "C ..."], params: FilterParams, *, together: bool) -> UInt8[np.ndarray, "C ..."]:
    """Every plane (of every slice) filtered bilaterally; `together`: three planes as the colours of one picture."""
    if together:
        return np.moveaxis(bilateral(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), params), -1, 0)
    smooth = np.empty_like(planes)
    for index in np.ndindex(planes.shape[:-2]):
        smooth[index] = bilateral(planes[index], params)
    return smooth


def square_planes(image: UInt8[np.ndarray, "H W *C"], size: int) -> UInt8[np.ndarray, "C S S"]:
    """A picture at the arrays' size, channels first."""
    return _planes(resize_image(image, size), 2)


def _planes(image: UInt8[np.ndarray, ...], axes: int) -> UInt8[np.ndarray, "C ..."]:
    """Channels first: (*S) and (*S, C) become (C, *S)."""
    return np.ascontiguousarray(np.moveaxis(image, -1, 0)) if image.ndim > axes else image[None]


def _target(entry: DatasetEntry, raw: Path, case: Case, image: np.ndarray) -> UInt8[np.ndarray, ...]:
    if entry.task == "classification":
        if case.label not in entry.classes:
            known = ", ".join(entry.classes)
            raise StageError(
                f"{raw / case.image} is labelled {case.label!r}, but {entry.name} has the classes {known}. Name the "
                "label among the `classes` of the catalogue, or leave it out of its `labels`."
            )
        return np.array(entry.classes.index(case.label), dtype=np.uint8)
    mask = case_mask(entry, raw, case)
    if mask.shape != image.shape[: mask.ndim]:
        found, expected = (size_text(shape) for shape in (mask.shape, image.shape[: mask.ndim]))
        raise StageError(
            f"{raw / case.masks[0]}: expected {expected} pixels (height x width), the size of {case.image.name}. "
            f"Found {found}. Replace the mask, then `dvc repro --force audit`."
        )
    return mask


def _check_unchanged(raw: Path, case: Case, sha256: str) -> None:
    path = raw / case.image
    if not path.is_file():
        raise StageError(f"{path} is missing, but the split lists it. Bring it back with `dvc repro --force fetch`.")
    stamps = tuple((status.st_mtime_ns, status.st_size) for status in (file.stat() for file in _present(path)))
    if _checksum(path, stamps) != sha256:
        raise StageError(f"{path} has changed since the split was made. Make it again with `dvc repro audit split`.")


def _present(path: Path) -> list[Path]:
    """A file and the one that it points to, as far as they are there."""
    return [file for file in files_of(path) if file.is_file()]


@lru_cache(maxsize=64)
def _checksum(path: Path, stamps: tuple[tuple[int, int], ...]) -> str:
    """Of a volume once for all its slices."""
    return stored_checksum(path)
