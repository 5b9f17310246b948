"""How publishers write down which pixel is what: from one file to class indices, (H, W) of uint8.

A decoder is a function of a file; each reader names the one that its masks need (`pipelines.datasets.readers.READERS`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.core.console import StageError
from pipelines.datasets.readers.halves import LOSSLESS, LOSSY, bright_half
from pipelines.datasets.readers.images import size_text
from pipelines.datasets.readers.mask_pictures import DEEP, MaskPicture, read_mask_picture
from pipelines.datasets.readers.matlab import MatlabFile
from pipelines.datasets.readers.meaning import Meaning

MaskDecoder = Callable[[Path], NDArray[np.uint8]]
Colour = tuple[int, int, int]

TWO_CLASSES = Meaning()

DIM = 128
"""A lossy format keeps no mask whose brightest value is less; it makes 1 of 0, too."""


def load_mask(paths: Sequence[Path], decode: MaskDecoder | None = None) -> NDArray[np.uint8]:
    """The union of mask files, (H, W): where several name a class, the highest index.

    Args:
        paths: The files.
        decode: How to read one of them; `understood` as two classes if not given.

    Raises:
        StageError: if a file cannot be read or decoded, or files differ in size.
    """
    union: NDArray[np.uint8] | None = None
    for path in paths:
        mask = (decode or understood)(path)
        if union is not None and union.shape != mask.shape:
            raise StageError(f"{path}: {size_text(mask.shape)} pixels, but {paths[0]} has {size_text(union.shape)}.")
        union = mask if union is None else np.maximum(union, mask)
    if union is None:
        raise ValueError("`paths` must name at least one file. Found none.")
    return union


def understood(path: Path, meaning: Meaning = TWO_CLASSES) -> NDArray[np.uint8]:
    """The class index of each pixel of a picture, by what the catalogue says of its values.

    Where it says nothing, a mask of two classes holds 0 and one other value, the brightest. These two may have been
    compressed, resampled or drawn with smooth edges (`bright_half`), and so may any two that the catalogue names.

    Raises:
        StageError: if the file cannot be read, or holds what nobody explained.
    """
    picture = read_mask_picture(path)
    if meaning.values is None:
        return _two(path, picture, meaning)
    if meaning.by_colour:
        return meaning.indices(path, picture.codes, lossy=picture.lossy)
    if not picture.readings:
        raise meaning.refusal(path, picture.found, coloured=True)
    if len(meaning.table) == 2 and picture.numbers is not None:
        (dark, first), (bright, second) = sorted(meaning.table.items())
        half = bright_half(picture.numbers, dark, bright, LOSSY if picture.lossy else LOSSLESS)
        if half is not None:
            return np.where(half, np.uint8(second), np.uint8(first))
    fitting = [numbers for numbers in picture.readings if np.isin(numbers, list(meaning.table)).all()]
    if len(fitting) == 2 and not np.array_equal(fitting[0], fitting[1]):
        grey, entry = (meaning.listed(np.unique(numbers).tolist()) for numbers in fitting)
        raise StageError(
            f"{path}: `values` of the catalogue fit the grey levels of its palette, {grey}, and the numbers of the "
            f"palette's entries, {entry}. Save it without a palette."
        )
    return meaning.indices(path, (fitting or picture.readings)[0], lossy=picture.lossy)


def _two(path: Path, picture: MaskPicture, meaning: Meaning) -> NDArray[np.uint8]:
    levels, half = picture.levels, None
    if levels is not None and len(meaning.classes) == 2:
        top, shades = int(levels.max()), int(levels.min()) < int(levels.max())
        if not top or (picture.lossy and not shades and top < DIM):
            return np.zeros(levels.shape, np.uint8)
        if not picture.lossy or top >= DIM:
            half = bright_half(levels, 0, top, LOSSY if picture.lossy else LOSSLESS)
    if half is None:
        raise meaning.refusal(path, picture.found, coloured=picture.numbers is None, lossy=picture.lossy)
    return half.astype(np.uint8)


def probable(path: Path) -> NDArray[np.uint8]:
    """1 where a map of probabilities, 0 to 255 for 0 to 1, reaches one half; it may nowhere."""
    picture = read_mask_picture(path)
    if picture.numbers is None or picture.mode in DEEP:
        raise StageError(
            f"{path}: probabilities were expected, grey of 8 bits from 0 to 255. Found mode {picture.mode}. Convert it."
        )
    return (picture.numbers > 127).astype(np.uint8)


def colour_table(classes: Mapping[Colour, int]) -> MaskDecoder:
    """Class by colour. Each of red, green and blue counts as 0 below 128 and as 255 from there on.

    Raises:
        StageError: naming a colour that the table lacks, and its first pixel.
    """
    lookup = np.full(8, 255, np.uint8)
    for colour, index in classes.items():
        lookup[_code(np.array(colour, np.uint8))] = index

    def decode(path: Path) -> NDArray[np.uint8]:
        picture = read_mask_picture(path)
        if picture.mode in DEEP:
            raise StageError(f"{path}: colours were expected. Found mode {picture.mode}. Convert it to RGB.")
        rgb = picture.colours if picture.numbers is None else np.repeat(picture.numbers[..., None], 3, axis=-1)
        assert rgb is not None
        mask = lookup[_code(rgb)]
        if (mask == 255).any():
            row, column = np.argwhere(mask == 255)[0].tolist()
            known = ", ".join(str(colour) for colour in classes)
            raise StageError(
                f"{path}: unknown colour {tuple(rgb[row, column].tolist())} at row {row}, column {column}. "
                f"Expected {known}. Recolour it."
            )
        return mask

    return decode


def matlab_label(value: int) -> MaskDecoder:
    """1 where `groundTruth.Segmentation` of a MATLAB file is `value` exactly."""

    def decode(path: Path) -> NDArray[np.uint8]:
        return (_segmentation(path) == value).astype(np.uint8)

    return decode


def _code(rgb: NDArray[np.integer]) -> NDArray[np.integer]:
    """Red, green and blue as the three bits of a number."""
    red, green, blue = np.moveaxis(rgb >> 7, -1, 0)
    return red << 2 | green << 1 | blue


def _segmentation(path: Path) -> NDArray[np.number]:
    if not path.is_file():
        raise StageError(f"{path}: no such file. Fetch the data set again.")
    try:
        segmentation = MatlabFile(path).table("groundTruth", "Segmentation")
    except (ValueError, OSError, zlib.error) as error:
        raise StageError(
            f"{path}: no MATLAB file with groundTruth.Segmentation ({error}). Replace it or fetch it again."
        ) from None
    if segmentation.ndim != 2:
        raise StageError(f"{path}: groundTruth.Segmentation is not a table of pixels. Fetch it again.")
    return segmentation


def matlab_size(path: Path) -> tuple[int, int]:
    """Height and width of a MATLAB file's segmentation."""
    height, width = _segmentation(path).shape
    return height, width
