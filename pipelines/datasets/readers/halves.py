"""Two-valued pictures that were compressed, resampled or drawn with smooth edges: which pixel is which of the two."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Num, UInt8
from numpy.typing import NDArray


class Blur(NamedTuple):
    """How far pixels of a two-valued picture may be from both values, in shares of their difference.

    Attributes:
        slack: Anywhere.
        ringing: Within `RINGING` pixels of an edge; more than that only within `EDGE` pixels of both values.
        fewest: So many different shades the edges must have: one or two are labels, not a transition.
    """

    slack: float
    ringing: float
    fewest: int


LOSSLESS = Blur(slack=0.0, ringing=0.25, fewest=3)
LOSSY = Blur(slack=0.035, ringing=0.4, fewest=0)
"""Measured on BUSI's masks: JPEG of quality 30 to 100, and resampling by 0.4 to 4 with the usual kernels."""

EDGE, RINGING = 3, 12
"""In pixels: half the widest transition, and how far a block of JPEG or a Lanczos kernel swings on."""

THIN = 0.01
"""Share of the bright pixels that may lie at no edge: tips so thin that they nowhere reach a value."""


def bright_half(
    levels: Num[np.ndarray, "H W"], dark: float, bright: float, blur: Blur
) -> Bool[np.ndarray, "H W"] | None:
    """True where a level is at least half-way from `dark` to `bright`; None if the picture holds more than those two.

    Between the two lies only what edges leave behind, near them, in many shades (`Blur`), and no area of one shade.
    """
    if ((levels == dark) | (levels == bright)).all():
        return levels == bright
    share = (levels.astype(np.float64) - dark) / (bright - dark)
    half, off = share >= 0.5, np.minimum(np.abs(share), np.abs(share - 1))
    odd = off > blur.slack
    middle = off > blur.ringing
    reach = _near((share < 0.5) & ~middle, EDGE) & _near((share >= 0.5) & ~middle, EDGE)
    swing = _near(half, RINGING) & _near(~half, RINGING)
    plain = cv2.erode(share, _square(1)) == cv2.dilate(share, _square(1))
    if (odd & (~swing | plain)).any() or len(np.unique(levels[odd])) < blur.fewest:
        return None
    return half if np.count_nonzero(middle & ~reach) <= THIN * np.count_nonzero(half) else None


def _near(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Pixels with one of the mask at most so many rows and columns away."""
    return cv2.dilate(mask.astype(np.uint8), _square(distance)) > 0


def _square(distance: int) -> UInt8[np.ndarray, "K K"]:
    return np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
