"""Pictures to arrays, whatever their mode, and errors that name the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.core.console import StageError

GREY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "P"}


def load_image(path: Path) -> NDArray[np.uint8]:
    """A picture, (H, W) if it is grey and (H, W, 3) if it is in colour; transparency is dropped.

    Raises:
        StageError: if the file cannot be read or has an unusual mode.
    """
    with opened(path) as picture:
        return np.asarray(picture.convert("L" if picture.mode in GREY else "RGB"))


def picture_size(path: Path, modes: Collection[str] = GREY | COLOUR) -> tuple[int, int]:
    """Height and width, from the header. Raises StageError if that cannot be read, or the mode is none of these."""
    with opened(path, modes) as picture:
        return picture.height, picture.width


@contextmanager
def opened(path: Path, modes: Collection[str] = GREY | COLOUR) -> Iterator[Image.Image]:
    """A picture of one of the `modes`, open for reading.

    Raises:
        StageError: if the file cannot be read, here or in the block, or has an unusual mode.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in modes:
                known = ", ".join(sorted(modes))
                raise StageError(f"{path}: pictures of mode {picture.mode!r} are not read. Known: {known}. Convert it.")
            yield picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, FileNotFoundError):
            raise StageError(f"{path}: no such file. Fetch the data set again.") from None
        raise StageError(f"{path}: cannot be read as a picture ({error}). Replace it or fetch it again.") from None


def size_text(shape: tuple[int, ...]) -> str:
    """Height x width, or depth x height x width."""
    return " x ".join(map(str, shape))
