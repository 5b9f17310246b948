"""Channels and size of pictures."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8


def as_channels(image: UInt8[np.ndarray, "H W *rgb"], channels: int) -> UInt8[np.ndarray, "H W *rgb"]:
    """(H, W) for one channel, colours by their luma; (H, W, 3) for three, grey in each."""
    if channels == 1:
        return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def resize_image(image: UInt8[np.ndarray, "H W *rgb"], size: int) -> UInt8[np.ndarray, "S S *rgb"]:
    """To size x size whatever the aspect, as the paper does: mean over area where that shrinks, else bilinear."""
    shrinks = image.shape[0] * image.shape[1] > size * size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_mask(mask: UInt8[np.ndarray, "H W"], size: int) -> UInt8[np.ndarray, "S S"]:
    """To size x size by the nearest pixel centre, so that no class appears which was not there.

    Not INTER_NEAREST, which takes the pixel above and to the left and so shifts masks against their images.
    """
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
