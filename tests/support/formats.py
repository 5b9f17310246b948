"""One small file of every format and stated geometry that people's pictures have, and what it shows."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 12, 20
ORIENTATION, NEW_SUBFILE_TYPE, PHOTOMETRIC = 274, 254, 262

Draw = Callable[[Path], object]
Shown = Mapping[str, np.ndarray]
"""Pixels by what is said of a reader that finds them; `right` is what viewers show."""


def grey() -> np.ndarray:
    """Every row, column and diagonal differs, so that any turn or flip of it can be told."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (8 * rows + 5 * columns + 40 * ((rows < 4) & (columns < 6))).astype(np.uint8)


def colour() -> np.ndarray:
    return np.stack([grey(), grey()[::-1], grey()[:, ::-1]], axis=-1)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As a viewer shows pixels that are stored under an EXIF orientation, from the standard's table: which side of the
    picture the stored row 0 and column 0 are."""
    upright = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels.swapaxes(0, 1)[:, ::-1],
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: pixels.swapaxes(0, 1)[::-1],
    }
    return upright[orientation]


def stored(pixels: np.ndarray, format: str, orientation: int = 1, **options: object) -> bytes:
    """A file of these pixels, which says that orientation of them."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    if format == "TIFF":
        options = {**options, "tiffinfo": {ORIENTATION: orientation, **options.get("tiffinfo", {})}}  # type: ignore[dict-item]
    elif orientation != 1:
        options = {**options, "exif": exif}
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def pages(pixels: list[np.ndarray], format: str, **options: object) -> bytes:
    """A file of several pictures."""
    buffer = io.BytesIO()
    first, *others = map(Image.fromarray, pixels)
    first.save(buffer, format, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def reduced_page() -> bytes:
    """A TIFF whose second page is the first at half the size."""
    buffer = io.BytesIO()
    small = Image.fromarray(grey()[::2, ::2].copy())
    small.encoderinfo = {"tiffinfo": {NEW_SUBFILE_TYPE: 1}}
    Image.fromarray(grey()).save(buffer, "TIFF", save_all=True, append_images=[small])
    return buffer.getvalue()


def late_exif() -> bytes:
    """A PNG that says its orientation after its pixels, as the standard permits."""
    content = stored(grey(), "PNG", 6)
    start = content.index(b"eXIf") - 4
    chunk = content[start : start + 12 + int.from_bytes(content[start : start + 4], "big")]
    rest, end = content.replace(chunk, b""), 12
    return rest[:-end] + chunk + rest[-end:]


def transparent() -> np.ndarray:
    """Columns from the half on are not seen; there lies another colour than anywhere else."""
    alpha = np.where(np.arange(WIDTH) < WIDTH // 2, 255, 0).astype(np.uint8)
    return np.dstack([colour(), np.broadcast_to(alpha, (HEIGHT, WIDTH))])


def converted(mode: str, format: str, pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def deep(channels: int = 1) -> bytes:
    """16 bits a channel, whose upper byte is `grey` or `colour`."""
    import cv2

    pixels = (grey() if channels == 1 else colour()).astype(np.uint16) * 257
    done, content = cv2.imencode(".png", pixels if channels == 1 else pixels[..., ::-1])
    assert done
    return content.tobytes()


def few_bits(bits: int) -> tuple[bytes, np.ndarray]:
    """A grey PNG of 2 or 4 bits a pixel, and its pixels at 8."""
    levels = grey() >> 8 - bits
    palette = Image.fromarray(levels).convert("P")
    buffer = io.BytesIO()
    palette.putpalette([value for level in range(2**bits) for value in [level * 255 // (2**bits - 1)] * 3])
    palette.save(buffer, "PNG", bits=bits)
    return buffer.getvalue(), (levels * (255 // (2**bits - 1))).astype(np.uint8)


def _orientations() -> dict[str, tuple[bytes, Shown]]:
    cases = {}
    for name, format, pixels, options in (
        ("PNG", "PNG", grey(), {}),
        ("JPEG", "JPEG", grey(), {"quality": 95}),
        ("WebP", "WEBP", colour(), {"lossless": True}),
        ("AVIF", "AVIF", colour(), {"quality": 100}),
        ("TIFF, uncompressed", "TIFF", grey(), {}),
        ("TIFF, LZW", "TIFF", grey(), {"compression": "tiff_lzw"}),
    ):
        for orientation in (3, 6):
            shown = {"right": turned(pixels, orientation), "not turned": pixels}
            cases[f"{name}, orientation {orientation}"] = stored(pixels, format, orientation, **options), shown
    return cases


def pictures() -> dict[str, tuple[bytes, Shown]]:
    """Files by what a person would call them, and what they show."""
    two_bits, at_two = few_bits(2)
    three = [grey(), grey()[::-1], grey()[:, ::-1]]
    first = {"right": np.stack(three), "first page": grey()}
    blended = transparent()[..., :3].copy()
    blended[:, WIDTH // 2 :] = 0
    palette = Image.fromarray(colour()).convert("P", palette=Image.Palette.ADAPTIVE)
    packed = io.BytesIO()
    palette.save(packed, "PNG")
    halves = np.where(grey() > 100, 255, 0).astype(np.uint8)
    return {
        "PNG, grey": (stored(grey(), "PNG"), {"right": grey()}),
        "PNG, colour": (stored(colour(), "PNG"), {"right": colour()}),
        "PNG, 2 bits": (two_bits, {"right": at_two}),
        "PNG, palette": (packed.getvalue(), {"right": np.asarray(palette.convert("RGB"))}),
        "PNG, transparent": (stored(transparent(), "PNG"), {"over black": blended, "colour beneath": colour()}),
        "PNG, grey of 16 bits": (deep(), {"upper byte": grey()}),
        "PNG, colour of 16 bits": (deep(3), {"upper byte": colour()}),
        "PNG, orientation 6 said after the pixels": (
            late_exif(),
            {"right": turned(grey(), 6), "not turned": grey()},
        ),
        "PNG, animated": (pages(three, "PNG"), first),
        **_orientations(),
        "JPEG, CMYK": (converted("CMYK", "JPEG", colour(), quality=95), {"right": colour()}),
        "JPEG with a second picture (MPO)": (pages(three[:2], "MPO", quality=95), {"right": grey()}),
        "TIFF, several pages": (pages(three, "TIFF"), first),
        "TIFF with a smaller copy": (reduced_page(), {"right": grey()}),
        "TIFF, white is 0": (stored(grey(), "TIFF", tiffinfo={PHOTOMETRIC: 0}), {"right": grey()}),
        "TIFF, grey of 16 bits": (stored(grey().astype(np.uint16) * 257, "TIFF"), {"upper byte": grey()}),
        "TIFF, float": (stored(grey().astype(np.float32), "TIFF"), {"right": grey(), "as float": grey()}),
        "BMP": (stored(colour(), "BMP"), {"right": colour()}),
        "BMP, 1 bit": (converted("1", "BMP", halves), {"right": halves}),
        "GIF": (stored(grey(), "GIF"), {"right": grey()}),
        "GIF, animated": (pages(three, "GIF"), first),
        "WebP, animated": (pages([colour(), colour()[::-1]], "WEBP", lossless=True), {"first page": colour()}),
        "PGM": (stored(grey(), "PPM"), {"right": grey()}),
        "PPM": (stored(colour(), "PPM"), {"right": colour()}),
        "JPEG 2000": (stored(colour(), "JPEG2000"), {"right": colour()}),
    }
