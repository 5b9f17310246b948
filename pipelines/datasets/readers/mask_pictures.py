"""What a mask stored as a picture holds: palette and transparency resolved, before anybody says what it means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray
from PIL import Image

from pipelines.core.console import StageError
from pipelines.datasets.readers.images import COLOUR, GREY, opened

DEEP = {"I", "I;16", "I;16B", "I;16L", "F"}
"""Modes of more than 8 bits a pixel."""

LOSSY = {"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000"}
"""Formats that may give back other values than were stored."""

TINGE = {False: 2, True: 96}
"""By whether the format is lossy: how far a channel of a shade may be from that of its colour, of 255."""

MODES = GREY | COLOUR | DEEP
"""Those in which masks are read."""

Levels = Integer[np.ndarray, "H W"]
Colours = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class MaskPicture:
    """A mask's pixels as a viewer shows them, upon black where they are transparent.

    Attributes:
        mode: Pillow's name of how they are stored.
        lossy: Whether the format may change values.
        numbers: Grey levels, of whatever depth; None if there are colours. What is drawn in one grey upon nothing, even
            in black, is as bright as it is opaque.
        colours: Red, green and blue; None if all is grey.
        ink: Opacity of what is drawn in one colour upon nothing; None of any other picture.
        entries: Numbers of a palette's entries; None without a palette.
    """

    mode: str
    lossy: bool
    numbers: Levels | None
    colours: Colours | None = None
    ink: Levels | None = None
    entries: Levels | None = None

    @cached_property
    def levels(self) -> Levels | None:
        """How bright each pixel is, if all are shades of one colour; None if there are several colours."""
        if self.numbers is not None or self.ink is not None:
            return self.numbers if self.ink is None else self.ink
        assert self.colours is not None
        brightness = self.colours.max(-1).astype(np.int64)
        brightest = self.colours.reshape(-1, 3)[brightness.argmax()].astype(np.float64)
        shades = brightest * (brightness / brightness.max())[..., None]
        return brightness if np.abs(self.colours - shades).max() <= TINGE[self.lossy] else None

    @cached_property
    def codes(self) -> Levels:
        """Each pixel's colour as the number that its hexadecimal digits are: 0xff0000 is red."""
        if self.colours is None:
            assert self.numbers is not None
            return self.numbers.astype(np.int64) * 0x010101
        red, green, blue = np.moveaxis(self.colours.astype(np.int64), -1, 0)
        return red << 16 | green << 8 | blue

    @property
    def readings(self) -> list[Levels]:
        """What a person may take for a pixel's number: its grey level, or the number of its entry in a palette."""
        return [numbers for numbers in (self.numbers, self.entries) if numbers is not None]

    @property
    def found(self) -> list[int]:
        """The values in it: grey levels, or `codes` of colours."""
        return np.unique(self.codes if self.numbers is None else self.numbers).tolist()

    @property
    def found_texts(self) -> tuple[str, ...]:
        """The same as the catalogue's `values` name them."""
        return tuple(f"#{value:06x}" if self.numbers is None else str(value) for value in self.found)


def read_mask_picture(path: Path) -> MaskPicture:
    """Raises StageError if the file cannot be read, or holds what is no whole number of at least 0."""
    with opened(path, MODES) as picture:
        mode, lossy = picture.mode, picture.format in LOSSY
        if mode in DEEP:
            return MaskPicture(mode, lossy, _whole(path, np.asarray(picture)))
        entries = np.asarray(picture).astype(np.int64) if mode == "P" else None
        if mode in GREY and not picture.has_transparency_data:
            return MaskPicture(mode, lossy, np.asarray(picture.convert("L")))
        colours, ink = _resolved(picture)
    grey = bool((colours == colours[..., :1]).all())
    if not grey:
        return MaskPicture(mode, lossy, None, colours, ink, entries)
    return MaskPicture(mode, lossy, colours[..., 0] if ink is None else ink, entries=entries)


def _resolved(picture: Image.Image) -> tuple[Colours, Levels | None]:
    """Colours upon black, and the `ink` of `MaskPicture`."""
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB")), None
    pixels = np.asarray(picture.convert("RGBA"))
    colours, opacity = pixels[..., :3], pixels[..., 3]
    if opacity.min() == opacity.max() > 0:  # the same throughout says nothing
        return colours, None
    visible = colours[opacity > 0]
    ink = opacity if len(visible) and (visible == visible[0]).all() else None
    return (colours.astype(np.uint16) * opacity[..., None] // 255).astype(np.uint8), ink


def _whole(path: Path, pixels: NDArray[np.generic]) -> Levels:
    numbers = pixels.astype(np.float64)
    wrong = ~np.isfinite(numbers) | (numbers < 0) | (numbers != np.rint(numbers)) | (numbers > np.iinfo(np.int32).max)
    if wrong.any():
        place = ", ".join(map(str, np.argwhere(wrong)[0].tolist()))
        raise StageError(
            f"{path}: a mask of whole numbers of at least 0 was expected. Found {numbers[wrong][0]:g} at ({place}), "
            f"and {np.count_nonzero(wrong):,} such pixels in all. Correct the mask."
        )
    return numbers.astype(np.int64)
