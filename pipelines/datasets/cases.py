"""The cases of a data set, and from a case to arrays: pictures, MATLAB files, volumes, and parts of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipelines.core.console import StageError
from pipelines.core.parallel import threaded
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.readers.case import FILE_SEPARATOR, Case
from pipelines.datasets.readers.images import COLOUR, GREY, load_image, picture_size, size_text
from pipelines.datasets.readers.mask_pictures import MODES
from pipelines.datasets.readers.masks import load_mask, matlab_size, understood
from pipelines.datasets.readers.meaning import foreground
from pipelines.datasets.readers.parts import cut_out, parts_of
from pipelines.datasets.readers.registry import READERS
from pipelines.datasets.readers.volumes import is_volume, load_volume, load_volume_mask, volume_size


def find_cases(entry: DatasetEntry, root: Path) -> list[Case]:
    """As `read_cases`, but whether the files can be used is not looked at."""
    remedy = f"Fetch it with `python -m pipelines.fetch --dataset {entry.name}`."
    if not root.is_dir():
        raise StageError(f"{root}: no such folder. {remedy}")
    cases = [case for case in READERS[entry.reader].find(root, entry.labels) if case.label in entry.labels]
    if entry.sides:
        cases = [case for case in cases if case.official_split in entry.sides]
    if entry.at_most:
        cases = _sampled(cases, entry.at_most)
    if not cases:
        raise StageError(
            f"{root}: no image of {entry.name} in it with the labels {', '.join(entry.labels)}. "
            f"Remove the folder. {remedy}"
        )
    if entry.patient:
        cases = [replace(case, patient=_patient(entry.patient, root, case)) for case in cases]
    return cases


def read_cases(entry: DatasetEntry, root: Path) -> list[Case]:
    """The cases of a data set, sorted by name, with the labels that its entry uses.

    Volumes are cut up as the entry's `volume` says: a case is a slice or a patch.

    Args:
        entry: The data set's entry in the catalogue.
        root: Where it was fetched to, `data/raw/<name>`; the paths of the cases are relative to it.

    Raises:
        StageError: if the folder is missing or empty, an image has no mask or cannot be opened, or sizes differ.
    """
    cases = find_cases(entry, root)
    check_sizes(entry, root, cases)
    return sorted(case_parts(entry, root, cases), key=lambda case: case.name)


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
        mask = load_mask(paths, READERS[entry.reader].decode or partial(understood, meaning=entry.meaning))
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
        return [replace(case, part=part) for part in parts_of(foreground(case_mask(entry, root, case)), cut)]

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
    expected = _size(root / case.image, GREY | COLOUR)
    free = READERS[entry.reader].grid == "first"
    for path, kind in [(path, "modality") for path in case.modalities] + [(path, "mask") for path in case.masks]:
        found = _size(root / path, MODES if kind == "mask" else GREY | COLOUR)
        if found != expected and not (free and kind == "modality"):
            raise StageError(
                f"{root / path}: the {kind} has {size_text(found)} pixels (height x width), its image "
                f"{case.image.name} {size_text(expected)}. Replace the {kind} or remove the case."
            )


def _sampled(cases: Sequence[Case], at_most: int) -> list[Case]:
    """As many cases of each folder of images, whichever the hashes of their names put first."""
    taken: Counter[Path] = Counter()
    kept = []
    for case in sorted(cases, key=lambda case: hashlib.sha256(case.name.encode()).hexdigest()):
        taken[case.image.parent] += 1
        if taken[case.image.parent] <= at_most:
            kept.append(case)
    return kept


def _size(path: Path, modes: Collection[str]) -> tuple[int, ...]:
    if is_volume(path):
        return volume_size(path)
    return matlab_size(path) if path.suffix.lower() == ".mat" else picture_size(path, modes)


def _patient(pattern: str, root: Path, case: Case) -> str:
    found = re.search(pattern, case.image.name)
    if not found or not found[1]:
        raise StageError(
            f"{root / case.image}: `patient: {pattern}` of the catalogue does not say who was imaged. Rename the file "
            "or correct the expression."
        )
    return found[1]
