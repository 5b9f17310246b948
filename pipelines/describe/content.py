"""What a few of a folder's images and masks hold: channels, and values whose meaning somebody has to say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import read_voxels
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.images import load_image
from pipelines.datasets.readers.mask_pictures import read_mask_picture
from pipelines.datasets.readers.masks import understood
from pipelines.datasets.readers.volume_files import is_volume, read_header

LOOKED_AT = 24
"""As many cases are opened, from the first to the last."""

MANY = 12
"""Masks with more values than this hold something else than classes."""

DECATHLON = "dataset.json"
"""Beside `imagesTr` and `labelsTr`: says, among others, what labels are called."""


@dataclass(frozen=True)
class Content:
    """What was seen.

    Attributes:
        volumes: Whether the images are volumes.
        channels: Of an image: 1 if all are grey, in whatever way they are stored.
        values: What masks hold, as the catalogue's `values` name it, if it is more than background and one other value.
        doubts: Files that could not be read, in a sentence each.
    """

    volumes: bool
    channels: int
    values: Sequence[str]
    doubts: Sequence[str]


def look(root: Path, cases: Sequence[Case]) -> Content:
    """Open some of the cases, which lie below `root`."""
    places = np.linspace(0, len(cases) - 1, min(LOOKED_AT, len(cases))).astype(int)
    some = [cases[place] for place in places.tolist()]
    doubts: list[str] = []
    channels, values, plain = 1, set[str](), True
    for case in some:
        try:
            channels = max(channels, sum(_channels(root / path) for path in case.files))
            for mask in case.masks:
                values |= _values(root / mask)
                plain = plain and _is_plain(root / mask)
        except StageError as error:
            doubts.append(str(error))
    ordered = sorted(values, key=lambda text: (text.startswith("#"), len(text), text))
    return Content(any(is_volume(case.image) for case in some), channels, [] if plain else ordered, doubts)


def names_of_labels(top: Path) -> Mapping[str, str]:
    """What the labels of a decathlon's or nnU-Net's data set are called, by value; empty if nothing says so."""
    try:
        labels = json.loads((top / DECATHLON).read_text(encoding="utf-8"))["labels"]
        pairs = [(str(one), str(other)) for one, other in labels.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {(one if one.isdigit() else other): (other if one.isdigit() else one) for one, other in pairs}


def _channels(path: Path) -> int:
    if is_volume(path):
        return read_header(path).components
    image = load_image(path)
    return 1 if image.ndim == 2 or (image == image[..., :1]).all() else image.shape[-1]


def _values(path: Path) -> set[str]:
    if is_volume(path):
        return {f"{value:g}" for value in np.unique(read_voxels(read_header(path))).tolist()}
    return set(read_mask_picture(path).found_texts)


def _is_plain(path: Path) -> bool:
    """Whether a mask is read as background and one class without a word about its values."""
    if is_volume(path):
        return len(_values(path)) <= 2
    try:
        understood(path)
    except StageError:
        return False
    return True
