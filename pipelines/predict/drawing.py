"""Masks and overlays as pictures."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

# Colours that colour-blind people can tell apart (Okabe, Ito); class 1 as in the report's panels.
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
OPACITY = 0.4


def colour(index: int) -> tuple[int, int, int]:
    """RGB of a class other than the background, repeating after seven."""
    text = COLOURS[(index - 1) % len(COLOURS)]
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def mask_picture(mask: UInt8[np.ndarray, "H W"], classes: int) -> Image.Image:
    """A palette picture: its pixels are class indices, and viewers show black, white, or a colour for each class."""
    picture = Image.fromarray(mask).convert("P")
    shown = [(0, 0, 0), (255, 255, 255)] if classes == 2 else [(0, 0, 0), *map(colour, range(1, classes))]
    picture.putpalette([value for rgb in shown for value in rgb])
    return picture


def overlay_picture(picture: UInt8[np.ndarray, "H W *rgb"], mask: UInt8[np.ndarray, "H W"]) -> Image.Image:
    """The picture with every class but the background tinted and outlined."""
    image = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
    drawn = image.astype(np.float32)
    width = max(1, round(min(mask.shape) / 200))
    for index in np.unique(mask[mask > 0]):
        inside, tint = mask == index, np.array(colour(int(index)), np.float32)
        drawn[inside] = (1 - OPACITY) * drawn[inside] + OPACITY * tint
        outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, tuple(map(float, tint)), width)
    return Image.fromarray(np.rint(drawn).astype(np.uint8))
