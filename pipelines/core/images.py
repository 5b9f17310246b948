"""Channels and size of pictures."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8


def as_channels(image: UInt8[np.ndarray, "*S"], channels: int) -> UInt8[np.ndarray, "*S"]:
    """An image with as many channels as asked for: (*S) for one, (*S, channels) for several.

    (H, W) and (*S, 1) hold one. One of several is the luma of three and the mean of any other number; several of one
    are that one in each.

    Raises:
        ValueError: if the image has several channels and several others are asked for.
    """
    planes = image[..., None] if image.ndim == 2 else image
    held = planes.shape[-1]
    if channels == 1:
        if planes.shape[2:] == (3,):
            return cv2.cvtColor(planes, cv2.COLOR_RGB2GRAY)
        return planes[..., 0] if held == 1 else np.rint(planes.mean(-1)).astype(np.uint8)
    if held not in (1, channels):
        raise ValueError(f"expected an image of 1 or {channels} channels. Found {held}.")
    return planes if held == channels else np.repeat(planes, channels, axis=-1)


def as_picture(image: UInt8[np.ndarray, "*S"]) -> UInt8[np.ndarray, "H W"]:
    """What a person can look at: of a patch, (D, H, W, C), the middle slice; of several channels, one grey."""
    return as_channels(image[len(image) // 2] if image.ndim == 4 else image, 1)


def resize_image(image: UInt8[np.ndarray, "H W *rgb"], size: int) -> UInt8[np.ndarray, "S S *rgb"]:
    """To size x size whatever the aspect, as the paper does: mean over area where that shrinks, else bilinear."""
    shrinks = image.shape[0] * image.shape[1] > size * size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_mask(mask: UInt8[np.ndarray, "H W"], size: int) -> UInt8[np.ndarray, "S S"]:
    """To size x size by the nearest pixel centre, so that no class appears which was not there.

    Not INTER_NEAREST, which takes the pixel above and to the left and so shifts masks against their images.
    """
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
