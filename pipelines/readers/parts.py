"""Parts of images: notation, and cutting them out (see `Case.part`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Index = int | slice


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
    return np.pad(piece, missing + [(0, 0)] * (piece.ndim - len(missing)))


def _text(one: Index) -> str:
    if isinstance(one, int):
        return f"{one:04d}"
    return ":" if one == slice(None) else f"{one.start:04d}:{one.stop:04d}"


def _index(text: str) -> Index:
    if ":" not in text:
        return int(text)
    start, stop = text.split(":")
    return slice(int(start) if start else None, int(stop) if stop else None)
