"""The bilateral filter of the Dynamic Memory Fusion paper."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.params import FilterParams


def bilateral(image: UInt8[np.ndarray, "H W *rgb"], params: FilterParams) -> UInt8[np.ndarray, "H W *rgb"]:
    """Smooth speckle and keep edges.

    I_f(x) = 1/W_p Σ_{x_i ∈ Ω} I(x_i) exp(-|x - x_i|² / 2σ_s²) exp(-|I(x) - I(x_i)|² / 2σ_r²)    (26)
    W_p    =       Σ_{x_i ∈ Ω}        exp(-|x - x_i|² / 2σ_s²) exp(-|I(x) - I(x_i)|² / 2σ_r²)    (27)

    In OpenCV's words σ_s is `sigmaSpace` (pixels), σ_r is `sigmaColor` (grey levels of 0 to 255), and Ω is the disc of
    diameter `d` around x, reflected at the border without repeating the edge pixel. The paper prints values for none
    of them. |I(x) - I(x_i)| of colours is the sum over the three channels, and one weight serves all three.

    Filtered as float32 and rounded at the end: OpenCV's uint8 path with d = 5 rounds half of all pixels down.
    """
    smooth = cv2.bilateralFilter(image.astype(np.float32), params.diameter, params.sigma_range, params.sigma_space)
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)
