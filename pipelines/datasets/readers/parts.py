"""Parts of images: which there are, how they are written (see `Case.part`), and cutting them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from pydantic import Field

from tune_spaces.strict_yaml import StrictModel

Index = int | slice
Side = Annotated[int, Field(ge=1)]
Millimetres = Annotated[float, Field(gt=0)]

AXES = {"axial": 0, "coronal": 1, "sagittal": 2}


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


def parts_of(mask: Bool[np.ndarray, "D H W"], cut: Slices | Patches) -> list[str]:
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


def part_text(index: Sequence[Index]) -> str:
    """`(slice(0, 64), slice(64, 128))` as `0000:0064,0064:0128`: texts sort as the places do."""
    return ",".join(_text(one) for one in index)


def tiles(length: int, side: int) -> list[slice]:
    """Pieces of `side` that cover `length` without a gap, each whole if it can be: the last one moves back over its
    neighbour. One piece reaches beyond the end if `length` is shorter than `side`."""
    starts = [*range(0, max(length - side, 0), side), max(length - side, 0)]
    return [slice(start, start + side) for start in starts]


def cut_out(array: NDArray[np.uint8], part: str) -> NDArray[np.uint8]:
    """The part of an array, (*spatial) or (*spatial, C); zeros where it reaches beyond the end."""
    if not part:
        return array
    index = tuple(_index(text) for text in part.split(","))
    piece = array[index]
    missing = [
        (0, max(0, (one.stop or 0) - length))
        for one, length in zip(index, array.shape, strict=False)
        if isinstance(one, slice)
    ]
    return np.pad(piece, missing + [(0, 0)] * (piece.ndim - len(missing))) if missing else piece


def _text(one: Index) -> str:
    if isinstance(one, int):
        return f"{one:04d}"
    return ":" if one == slice(None) else f"{one.start:04d}:{one.stop:04d}"


def _index(text: str) -> Index:
    if ":" not in text:
        return int(text)
    start, stop = text.split(":")
    return slice(int(start) if start else None, int(stop) if stop else None)
