"""DeepGlobe land cover: satellite tiles with a mask of seven colours, to segment or to classify by what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.core.console import StageError
from pipelines.core.parallel import threaded
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in
from pipelines.datasets.readers.masks import colour_table

CLASSES = {
    "unknown": (0, 0, 0),
    "urban": (0, 255, 255),
    "agriculture": (255, 255, 0),
    "range": (255, 0, 255),
    "forest": (0, 255, 0),
    "water": (0, 0, 255),
    "barren": (255, 255, 255),
}
"""Colour of each class, in the order of their index."""

NAMES = tuple(CLASSES)
decode = colour_table({colour: index for index, colour in enumerate(CLASSES.values())})


def read_deepglobe(root: Path, labels: Sequence[str]) -> list[Case]:
    """DeepGlobe: `train/{id}_sat.jpg` with `train/{id}_mask.png`.

    The publisher keeps the masks of `valid/` and `test/`, so that those are left aside.

    Raises:
        StageError: if a tile has no mask or a mask no tile.
    """
    tiles, masks = (
        {path.name[: -len(ending)]: path for path in files_in(root, Path("train"), (ending,))}
        for ending in ("_sat.jpg", "_mask.png")
    )
    if alone := sorted(tiles.keys() ^ masks.keys()):
        lacking, having = ("mask", tiles) if alone[0] in tiles else ("image", masks)
        raise StageError(f"{root / having[alone[0]]}: no {lacking} of tile {alone[0]}. Add it, or move this elsewhere.")
    return [Case(tiles[name], (masks[name],), "tile") for name in tiles]


def read_deepglobe_dominant(root: Path, labels: Sequence[str]) -> list[Case]:
    """DeepGlobe to classify: the label is the class that covers most of the tile, the first of equals."""
    return _classified(root, lambda counts: NAMES[int(counts.argmax())])


def read_deepglobe_water(root: Path, labels: Sequence[str]) -> list[Case]:
    """DeepGlobe to classify: `water` if any pixel of the tile is, else `other`.

    The loss fusion paper does not say which tiles it counts as water. The numbers of its table 1 add up to four times
    the tiles there are, so that they count tiles where a class occurs at all. With 476 of 803, as there, one who always
    says water is right in 59 %: this is the task of its table 5, with accuracies from 57 to 72 %.
    """
    return _classified(root, lambda counts: "water" if counts[NAMES.index("water")] else "other")


def read_deepglobe_water_majority(root: Path, labels: Sequence[str]) -> list[Case]:
    """DeepGlobe to classify: `water` if it covers most of the tile, else `other`.

    In tables 16 to 18 of the loss fusion paper one who always says `other` is right in 92 %, which fits this reading.
    """
    return _classified(root, lambda counts: "water" if NAMES[int(counts.argmax())] == "water" else "other")


def _classified(root: Path, label_of: Callable[[NDArray[np.int64]], str]) -> list[Case]:
    def classify(case: Case) -> Case:
        (mask,) = case.masks
        return replace(case, masks=(), label=label_of(np.bincount(decode(root / mask).ravel(), minlength=len(NAMES))))

    return threaded(classify, read_deepglobe(root, ()), "labelling tiles", unit="tiles")
