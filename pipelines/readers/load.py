"""From a case to arrays, whatever its files are: pictures, MATLAB files, volumes, and parts of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from pipelines.console import StageError
from pipelines.parallel import threaded
from pipelines.readers.cases import FILE_SEPARATOR, Case
from pipelines.readers.images import load_image, picture_size, size_text
from pipelines.readers.masks import load_mask, matlab_size
from pipelines.readers.parts import cut_out, parts_of
from pipelines.readers.registry import READERS
from pipelines.readers.volumes import is_volume, load_volume, load_volume_mask, volume_size

if TYPE_CHECKING:
    from pipelines.catalogue import DatasetEntry


def case_image(entry: DatasetEntry, root: Path, case: Case) -> UInt8[np.ndarray, "*spatial_and_channels"]:
    """The pixels or voxels of a case.

    Returns:
        (H, W) if it is grey, (H, W, 3) if it is in colour, (*spatial, C) of a volume with C modalities.

    Raises:
        StageError: naming a file that cannot be read.
    """
    paths = [root / path for path in case.files]
    if is_volume(case.image):
        image = load_volume(paths, READERS[entry.reader].grid, entry.volume)
    else:
        image = load_image(paths[0]) if len(paths) == 1 else np.dstack([load_image(path) for path in paths])
    return cut_out(image, case.part)


def case_mask(entry: DatasetEntry, root: Path, case: Case) -> UInt8[np.ndarray, "*spatial"]:
    """The class index of each pixel or voxel of a case.

    Raises:
        StageError: naming a file that cannot be read, or the image if it has no mask.
    """
    paths = [root / path for path in case.masks]
    if not paths:
        raise StageError(f"{root / case.image} has no mask, and {entry.name} is a {entry.task} data set.")
    if is_volume(case.image):
        mask = load_volume_mask(paths, root / case.image, entry.volume)
    else:
        mask = load_mask(paths, READERS[entry.reader].decode)
    return cut_out(mask, case.part)


def case_parts(entry: DatasetEntry, root: Path, cases: Sequence[Case]) -> list[Case]:
    """Pictures as they are, volumes cut into the parts that the entry asks for.

    Raises:
        StageError: if there are volumes and the entry does not say how to cut them.
    """
    volumes = [case for case in cases if is_volume(case.image)]
    pictures = [case for case in cases if not is_volume(case.image)]
    if not volumes:
        return pictures
    cut = entry.volume
    if cut is None:
        raise StageError(
            f"{entry.name}: {root / volumes[0].image} is a volume. Say how to cut it in the catalogue: "
            "`volume: {cut: slices}` or `volume: {cut: patches, size: [32, 128, 128]}`."
        )

    def parts(case: Case) -> list[Case]:
        return [replace(case, part=part) for part in parts_of(case_mask(entry, root, case), cut)]

    found = threaded(parts, volumes, f"{entry.name}: cutting", unit="volumes")
    return pictures + [case for one in found for case in one]


def check_sizes(entry: DatasetEntry, root: Path, cases: Sequence[Case]) -> None:
    """`check_case` of all cases, on all cores."""
    whole = {case.files: case for case in cases}  # parts of one file have one header
    threaded(
        lambda case: check_case(entry, root, case), list(whole.values()), f"{entry.name}: checking sizes", unit="images"
    )


def check_case(entry: DatasetEntry, root: Path, case: Case) -> None:
    """Look at the headers of a case's files.

    Raises:
        StageError: if a file cannot be read, a mask is not the size of its image, or modalities differ in size and
            are not resampled.
    """
    for path in (*case.files, *case.masks):
        if FILE_SEPARATOR in path.as_posix():
            raise StageError(f"{root / path}: names with {FILE_SEPARATOR!r} are not read. Rename the file.")
    expected = _size(root / case.image)
    free = READERS[entry.reader].grid == "first"
    for path, kind in [(path, "modality") for path in case.modalities] + [(path, "mask") for path in case.masks]:
        found = _size(root / path)
        if found != expected and not (free and kind == "modality"):
            raise StageError(
                f"{root / path}: the {kind} has {size_text(found)} pixels (height x width), its image "
                f"{case.image.name} {size_text(expected)}. Replace the {kind} or remove the case."
            )


def _size(path: Path) -> tuple[int, ...]:
    if is_volume(path):
        return volume_size(path)
    return matlab_size(path) if path.suffix.lower() == ".mat" else picture_size(path)
