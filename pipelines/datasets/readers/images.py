"""Pictures to arrays, whatever their format, mode and orientation, and errors that name the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipelines.core.console import StageError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM")
"""What Pillow may take a file for, whatever its name says: no format that starts another program."""

GREY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "P"}

MOST_PIXELS = 500_000_000
"""A picture may have as many. They are counted before anything is decoded."""

TRANSPOSED = {5, 6, 7, 8}
"""Orientations that exchange height and width."""

NEW_SUBFILE_TYPE, REDUCED = 254, 1
"""Tag of a TIFF's page, and the bit of it that says: the same picture at a lower resolution."""

BEGINNINGS = {
    rb".{4}ftyp(heic|heix|hevc|mif1|msf1)": "HEIC",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "JPEG XL",
    rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ": "JPEG 2000",
    rb".{128}DICM": "DICOM",
    rb"\x5c\x01\0\0|n\+[12]\0|ObjectType|NDims": "a volume",
    rb"\x1f\x8b": "something packed by gzip",
    rb"PK\x03\x04": "a zip archive",
    rb"%PDF": "PDF",
    rb"8BPS": "Photoshop",
    rb"\s*<": "HTML or XML",
    rb"\x89PNG|\xff\xd8|BM|GIF8|II\*|MM\0\*|RIFF|P[1-6]\s|.{4}ftypavif": "a picture, but is damaged",
}
"""What files begin with that pictures are mistaken for, as regular expressions."""

Image.MAX_IMAGE_PIXELS = None  # Pillow refuses from 179 million pixels on: `_checked` counts instead


def load_image(path: Path) -> NDArray[np.uint8]:
    """A picture as viewers show it, (H, W) if it is grey and (H, W, 3) if it is in colour; over black if transparent.

    Raises:
        StageError: if the file cannot be read, or is none of one page and a mode that is read.
    """
    with opened(path) as picture:
        kind = "L" if picture.mode in GREY else "RGB"
        if picture.has_transparency_data:
            black = Image.new("RGBA", picture.size, "black")
            picture = Image.alpha_composite(black, picture.convert("RGBA"))
        return np.asarray(picture.convert(kind))


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width as viewers show it. Raises StageError if they cannot be read."""
    with stored(path) as picture:
        height, width = picture.height, picture.width
        turned = picture.format != "TIFF" and _orientation(picture) in TRANSPOSED  # Pillow turns a TIFF's size itself
        return (width, height) if turned else (height, width)


@contextmanager
def opened(path: Path, modes: Collection[str] = GREY | COLOUR) -> Iterator[Image.Image]:
    """A decoded picture of one of the `modes`, turned as its EXIF orientation says: the first page is the only one.

    Raises:
        StageError: if the file cannot be read, or is none of one page and a mode that is read.
    """
    with stored(path, modes) as picture:
        picture.load()
        if _orientation(picture) != 1:
            ImageOps.exif_transpose(picture, in_place=True)
    yield picture


@contextmanager
def stored(path: Path, modes: Collection[str] = GREY | COLOUR) -> Iterator[Any]:
    """A picture as it is stored, open and not yet decoded. Whatever Pillow raises in the block is the file's fault.

    The file is opened here, because Pillow 11.3 to 13.0 maps an uncompressed TIFF of orientation 5 to 8 into memory
    with its sides exchanged if it is given a name.

    Raises:
        StageError: if the file cannot be read, or is none of one page and a mode that is read.
    """
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
            _check(path, picture, modes)
            yield picture
    except StageError:
        raise
    except FileNotFoundError:
        raise StageError(f"{path}: no such file. Bring it there, or fetch the data set anew.") from None
    except UnidentifiedImageError:
        raise StageError(
            f"{path}: cannot be read as a picture ({_beginning(path)}). Expected {', '.join(FORMATS)}. Replace it, "
            "or convert it."
        ) from None
    except Exception as error:  # Pillow's parsers raise whatever a damaged file leads them to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StageError(
            f"{path}: cannot be read as a picture ({reason}). Replace it by a copy that a viewer opens."
        ) from None


def size_text(shape: tuple[int, ...]) -> str:
    """Height x width, or depth x height x width."""
    return " x ".join(map(str, shape))


def _check(path: Path, picture: Image.Image, modes: Collection[str]) -> None:
    if picture.mode not in modes:
        known = ", ".join(sorted(modes))
        raise StageError(
            f"{path}: pictures of mode {picture.mode!r} are not read. Known: {known}. Convert it to 8 bits a channel."
        )
    if picture.width * picture.height > MOST_PIXELS:
        raise StageError(
            f"{path}: {picture.height:,} x {picture.width:,} pixels (height x width). Expected at most "
            f"{MOST_PIXELS:,} in all. Cut it into tiles or save it smaller."
        )
    if (pages := _pages(picture)) > 1:
        raise StageError(
            f"{path}: {pages} pages or frames. Expected one: which of them are meant is not known. Save each as a "
            "picture of its own, or all of them as a volume (.nii.gz)."
        )


def _pages(picture: Image.Image) -> int:
    """Pages that show something else than the first: not the smaller copies of a TIFF, the previews of a JPEG."""
    frames = getattr(picture, "n_frames", 1)
    if frames == 1 or picture.format == "MPO":
        return 1
    if picture.format != "TIFF":
        return frames
    pages = 1
    for frame in range(1, frames):
        picture.seek(frame)
        pages += not int(picture.tag_v2.get(NEW_SUBFILE_TYPE, 0)) & REDUCED  # type: ignore[attr-defined]
    picture.seek(0)
    return pages


def _orientation(picture: Image.Image) -> int:
    """1 to 8, as EXIF or XMP say; 1 where they say nothing or nonsense."""
    found = picture.getexif().get(ExifTags.Base.Orientation)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(256)
    if not start:
        return "the file is empty"
    kinds = (kind for pattern, kind in BEGINNINGS.items() if re.match(pattern, start, re.DOTALL))
    return f"it begins as {kind}" if (kind := next(kinds, None)) else f"it begins with {start[:8]!r}"
