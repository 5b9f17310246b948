"""The bilateral filter of the Dynamic Memory Fusion paper."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.datasets.params import FilterParams

TRUNCATES_UP_TO = 5
"""Largest diameter for which OpenCV 5.0 truncates uint8 results instead of rounding them."""


def bilateral(image: UInt8[np.ndarray, "H W *rgb"], params: FilterParams) -> UInt8[np.ndarray, "H W *rgb"]:
    """Smooth speckle and keep edges.

    I_f(x) = 1/W_p Σ_{x_i ∈ Ω} I(x_i) exp(-|x - x_i|² / 2σ_s²) exp(-|I(x) - I(x_i)|² / 2σ_r²)    (26)
    W_p    =       Σ_{x_i ∈ Ω}        exp(-|x - x_i|² / 2σ_s²) exp(-|I(x) - I(x_i)|² / 2σ_r²)    (27)

    In OpenCV's words σ_s is `sigmaSpace` (pixels), σ_r is `sigmaColor` (grey levels of 0 to 255), and Ω is the disc of
    diameter `d` around x, reflected at the border without repeating the edge pixel. The paper prints values for none
    of them. |I(x) - I(x_i)| of colours is the sum over the three channels, and one weight serves all three.

    Small neighbourhoods are filtered as float32 and rounded, because there OpenCV's uint8 path truncates: half of all
    grey pixels come out one level darker.
    """
    if params.diameter > TRUNCATES_UP_TO:
        return cv2.bilateralFilter(image, params.diameter, params.sigma_range, params.sigma_space)
    smooth = cv2.bilateralFilter(image.astype(np.float32), params.diameter, params.sigma_range, params.sigma_space)
    return np.rint(smooth).astype(np.uint8)
