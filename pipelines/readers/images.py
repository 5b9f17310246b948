"""Pictures to arrays, whatever their mode, and errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.console import StageError
from pipelines.readers.cases import Case

GREY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "P"}


def load_image(path: Path) -> NDArray[np.uint8]:
    """A picture, (H, W) if it is grey and (H, W, 3) if it is in colour; transparency is dropped.

    Raises:
        StageError: if the file cannot be read or has an unusual mode.
    """
    with _opened(path) as picture:
        return np.asarray(picture.convert("L" if picture.mode in GREY else "RGB"))


def load_mask(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """The union of mask files, (H, W) of 0 and 1; a pixel counts from half of full brightness on.

    Raises:
        StageError: if a file cannot be read, files differ in size, or a mask is too dark to be one of 0 and 255.
    """
    union: NDArray[np.uint8] | None = None
    for path in paths:
        with _opened(path) as picture:
            values = np.asarray((picture.convert("RGB") if picture.mode in COLOUR else picture).convert("L"))
        mask = (values > 127).astype(np.uint8)
        if values.any() and not mask.any():
            raise StageError(f"{path}: a mask of 0 and 255 was expected. Found at most {values.max()}. Rescale it.")
        if union is not None and union.shape != mask.shape:
            raise StageError(f"{path}: {_size(mask.shape)} pixels, but {paths[0]} has {_size(union.shape)}.")
        union = mask if union is None else union | mask
    if union is None:
        raise ValueError("`paths` must name at least one file. Found none.")
    return union


def check_sizes(root: Path, case: Case) -> None:
    """Look at the files' headers. Raises StageError if one cannot be read or a mask is not the size of its image."""
    with _opened(root / case.image) as image:
        for path in case.masks:
            with _opened(root / path) as mask:
                if mask.size != image.size:
                    raise StageError(
                        f"{root / path}: the mask has {_size(mask.size[::-1])} pixels (height x width), its image "
                        f"{case.image.name} {_size(image.size[::-1])}. Replace the mask or remove the pair."
                    )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            if picture.mode not in GREY | COLOUR:
                known = ", ".join(sorted(GREY | COLOUR))
                raise StageError(f"{path}: pictures of mode {picture.mode!r} are not read. Known: {known}. Convert it.")
            yield picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, FileNotFoundError):
            raise StageError(f"{path}: no such file. Fetch the data set again.") from None
        raise StageError(f"{path}: cannot be read as a picture ({error}). Replace it or fetch it again.") from None


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
