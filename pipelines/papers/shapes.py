"""Size and outline of a mask's foreground."""

from __future__ import annotations

import math

import numpy as np

from pipelines.datasets.readers.meaning import foreground


def area(mask: np.ndarray) -> float:
    """The share of the image that is no background; NaN for an empty mask, which has no shape."""
    share = float(foreground(mask).mean())
    return share or math.nan


def irregularity(mask: np.ndarray) -> float:
    """Outline over that of a ball of the same size: in 2D P / (2 sqrt(pi A)), in 3D S / (36 pi V^2)^(1/3).

    The outline counts faces between foreground and background pixels (the image's border is background), which makes a
    disc 4 / pi; ranks do not mind. NaN for an empty mask.
    """
    inside = np.pad(foreground(mask), 1)
    size = int(inside.sum())
    if not size:
        return math.nan
    outline = sum(int((np.diff(inside.astype(np.int8), axis=axis) != 0).sum()) for axis in range(inside.ndim))
    ball = 2 * math.sqrt(math.pi * size) if inside.ndim == 2 else (36 * math.pi * size**2) ** (1 / 3)
    return outline / ball
