"""What a few of a folder's images and masks hold: channels, and the values of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import read_voxels
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.images import load_image, opened
from pipelines.datasets.readers.intensities import as_labels
from pipelines.datasets.readers.meaning import Meaning
from pipelines.datasets.readers.volume_files import is_volume, read_header

LOOKED_AT = 24
"""As many cases are opened, from the first to the last."""
MANY = 12
"""Masks with more values than this hold something else than classes."""


@dataclass(frozen=True)
class Content:
    """What was seen.

    Attributes:
        volumes: Whether the images are volumes.
        channels: Of an image: 1 if all are grey, in whatever way they are stored.
        values: What the masks hold, in order; None if that are too many to be classes.
        doubts: Files that could not be read, in a sentence each.
    """

    volumes: bool
    channels: int
    values: Sequence[int] | None
    doubts: Sequence[str]


def look(root: Path, cases: Sequence[Case]) -> Content:
    """Open some of the cases, which lie below `root`."""
    some = [cases[index] for index in sorted({*np.linspace(0, len(cases) - 1, LOOKED_AT).astype(int).tolist()})]
    volumes = any(is_volume(case.image) for case in some)
    doubts: list[str] = []
    channels, values = 1, set[int]()
    for case in some:
        try:
            channels = max(channels, len(case.files) if len(case.files) > 1 else _channels(root / case.image))
            for mask in case.masks:
                values |= _values(root / mask)
        except StageError as error:
            doubts.append(str(error))
    return Content(volumes, channels, sorted(values) if len(values) <= MANY else None, doubts)


def _channels(path: Path) -> int:
    if is_volume(path):
        return read_header(path).components
    image = load_image(path)
    return 1 if image.ndim == 2 or (image == image[..., :1]).all() else image.shape[-1]


def _values(path: Path) -> set[int]:
    if is_volume(path):
        header = read_header(path)
        return set(np.unique(as_labels(path, read_voxels(header)[..., 0], Meaning())).tolist())
    with opened(path) as picture:
        pixels = np.asarray(picture if picture.mode in ("P", "L") else picture.convert("L"))
    return set(np.unique(pixels).tolist())
