"""Looking at every image and mask of a data set once: what is in the files, before anything is resized or filtered."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

from pipelines.artifacts.manifest import MANIFEST
from pipelines.core.console import StageError
from pipelines.core.parallel import threaded
from pipelines.datasets.cases import case_image, case_mask, case_padding, check_case
from pipelines.datasets.duplicates import SIDE, thumbnail
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import PICTURES, files_in, suffix_of
from pipelines.datasets.readers.images import stored
from pipelines.datasets.readers.mask_pictures import MODES, read_mask_picture
from pipelines.datasets.readers.meaning import VOID, foreground
from pipelines.datasets.readers.volume_files import files_of, stored_checksum
from pipelines.pages.slices import flat

MANY_VALUES = 8
"""A mask with more distinct values than this is said to have "many"."""


@dataclass(frozen=True)
class MaskFile:
    """One mask file as it is stored: the picture's mode (`file` if it is no picture) and which values are in it, as a
    catalogue's `values` name them."""

    mode: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class MaskFacts:
    """The annotation of one image.

    Attributes:
        files: As stored.
        pixels: SHA-256 of the class indices; two annotations with the same one are the same.
        area: Share of the pixels that are annotated: neither background nor void.
        parts: Connected regions (8 neighbours in 2D, 26 in 3D) that are annotated.
        void: Share of the pixels that count nowhere.
        classes: Of the other pixels, the share of each class index, background first; 0 where there are none.
        at_border: Whether the annotation touches the image's border.
    """

    files: tuple[MaskFile, ...]
    pixels: str
    area: float
    parts: int
    void: float
    classes: tuple[float, ...]
    at_border: bool


@dataclass(frozen=True)
class CaseFacts:
    """One case.

    Attributes:
        case: Which files it is made of.
        sha256: Of the image's file, the first if there are several, with the voxels that it points to; parts of one
            file share it.
        pixels: SHA-256 of the decoded pixels and their shape.
        mode: How the image is stored: the picture's mode, or `file` if it is no picture.
        size: Height and width, or depth, height and width.
        channels: After decoding: 1 for grey.
        padding: Share of a volume's values that is no number.
        repeated: Whether it has several channels, and all of them are the same: a grey image stored in colour.
        mask: None for a case without masks.
    """

    case: Case
    sha256: str
    pixels: str
    mode: str
    size: tuple[int, ...]
    channels: int
    padding: float
    repeated: bool
    mask: MaskFacts | None


@dataclass(frozen=True)
class Looked:
    """A data set after every file was read.

    Attributes:
        facts: Of each case that can be used, sorted by name.
        thumbnails: One for each of them.
        problems: What is wrong with the others, by name.
        unused: Names of files beside the images and masks that no case is made of, by suffix.
    """

    facts: Sequence[CaseFacts]
    thumbnails: UInt8[np.ndarray, "N 96 96"]
    problems: dict[str, str]
    unused: dict[str, list[str]]


def look_at(entry: DatasetEntry, raw: Path, cases: Sequence[Case]) -> Looked:
    """Read all files of `cases` in the folder `raw`, on all cores. A case that cannot be read becomes a problem.

    Memory: 9 kB an image, and the images that are being read.
    """
    thumbnails = np.zeros((len(cases), SIDE, SIDE), np.uint8)

    @functools.cache
    def checksum(path: Path) -> str:
        """Parts of one volume ask for its checksum again and again."""
        return stored_checksum(raw / path)

    def look(index: int) -> CaseFacts | str:
        try:
            check_case(entry, raw, cases[index])
            facts, thumbnails[index] = _look_at_case(entry, raw, cases[index], checksum)
        except StageError as error:
            return str(error)
        return facts

    seen = threaded(look, range(len(cases)), f"{entry.name}: looking", unit="images")
    good = [index for index, facts in enumerate(seen) if isinstance(facts, CaseFacts)]
    return Looked(
        facts=[facts for facts in seen if isinstance(facts, CaseFacts)],
        thumbnails=thumbnails if len(good) == len(cases) else thumbnails[good],
        problems={case.name: text for case, text in zip(cases, seen, strict=True) if isinstance(text, str)},
        unused=unused_files(raw, cases),
    )


def unused_files(raw: Path, cases: Sequence[Case]) -> dict[str, list[str]]:
    """Names of the files in the cases' folders that no case is made of, by suffix, the most frequent first."""
    used = {path for case in cases for path in (*case.files, *case.masks)}
    pointed = {file.relative_to(raw) for path in used for file in _files_of(raw / path)}
    found: dict[str, list[str]] = {}
    for path in (path for folder in sorted({path.parent for path in used}) for path in files_in(raw, folder, ("",))):
        if path not in used | pointed and path.name != MANIFEST:
            found.setdefault(suffix_of(path).lower(), []).append(path.as_posix())
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _files_of(path: Path) -> tuple[Path, ...]:
    """A header that cannot be read is a problem of its case already."""
    try:
        return files_of(path)
    except StageError:
        return (path,)


def _look_at_case(
    entry: DatasetEntry, raw: Path, case: Case, checksum: Callable[[Path], str]
) -> tuple[CaseFacts, UInt8[np.ndarray, "96 96"]]:
    image = np.ascontiguousarray(case_image(entry, raw, case))
    mask = case_mask(entry, raw, case) if case.masks or entry.task == "segmentation" else None
    spatial = mask.ndim if mask is not None else 2
    size = image.shape[:spatial]
    facts = CaseFacts(
        case=case,
        sha256=checksum(case.image),
        pixels=array_checksum(image),
        mode=_stored(raw / case.image),
        size=size,
        channels=1 if image.ndim == spatial else image.shape[-1],
        padding=case_padding(entry, raw, case),
        repeated=image.ndim > spatial and image.shape[-1] > 1 and bool((image == image[..., :1]).all()),
        mask=None if mask is None else _mask_facts([raw / path for path in case.masks], mask, len(entry.classes)),
    )
    return facts, thumbnail(flat(image, spatial))


def _mask_facts(paths: Sequence[Path], mask: UInt8[np.ndarray, "*spatial"], classes: int) -> MaskFacts:
    lesion = foreground(mask)
    rim = np.ones(mask.shape, bool)
    rim[tuple(slice(1, -1) for _ in mask.shape)] = False
    judged = mask[mask != VOID]
    shares = np.bincount(judged, minlength=classes) / max(1, judged.size)
    return MaskFacts(
        files=tuple(_stored_mask(path) for path in paths),
        pixels=array_checksum(mask),
        area=float(lesion.mean()),
        parts=int(ndimage.label(lesion, np.ones((3,) * mask.ndim))[1]),
        void=1 - judged.size / mask.size,
        classes=tuple(shares.tolist()),
        at_border=bool((lesion & rim).any()),
    )


def _stored(path: Path) -> str:
    """Mode of a picture; other files are the reader's to understand."""
    if not path.name.lower().endswith(PICTURES):
        return "".join(path.suffixes[-2:]).lstrip(".") or "file"
    with stored(path, MODES) as picture:
        return str(picture.mode)


def _stored_mask(path: Path) -> MaskFile:
    mode = _stored(path)
    if mode not in MODES:
        return MaskFile(mode, ())
    values = read_mask_picture(path).found_texts
    return MaskFile(mode, values if len(values) <= MANY_VALUES else ("many",))


def array_checksum(array: UInt8[np.ndarray, ...]) -> str:
    """SHA-256 of shape and content."""
    digest = hashlib.sha256(repr(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
