"""What is shown of an image that is no picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8


def flat(image: UInt8[np.ndarray, ...], spatial: int) -> UInt8[np.ndarray, "H W *rgb"]:
    """A picture to show and to compare: a volume's middle slice, and the first of channels that are no colours.

    Args:
        image: (*spatial,) or (*spatial, C).
        spatial: How many dimensions are spatial, 2 or 3.
    """
    if spatial == 3:
        image = image[len(image) // 2]
    return image if image.ndim == 2 or image.shape[2] == 3 else image[..., 0]
