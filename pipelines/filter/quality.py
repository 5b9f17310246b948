"""What a filter did to an image, in two numbers: how much speckle is left, and how much of the edges."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

TILE = 16
"""Side, in pixels, of the squares in which speckle is measured."""

HOMOGENEOUS = 0.25
"""Share of an image's squares that are taken for tissue without structure: those that vary least."""


def speckle_suppression_index(before: UInt8[np.ndarray, "H W"], after: UInt8[np.ndarray, "H W"]) -> float:
    """How much speckle is left: 1 all of it, 0 none.

    SSI = (σ_f / μ_f) / (σ_o / μ_o), the ratio of the coefficients of variation of the filtered (f) and the original
    (o) image (Sheng and Xia, IGARSS 1996, "A comprehensive evaluation of filters for radar speckle suppression").

    Where we differ: both coefficients are means over the quarter of 16x16 squares that vary least in the original,
    since over a whole image structure outweighs speckle. Black and perfectly flat squares take no part. NaN if there
    are no others.
    """
    original, filtered = _variations(before), _variations(after)
    usable = np.isfinite(original) & (original > 0)
    if not usable.any():
        return float("nan")
    homogeneous = usable & (original <= np.quantile(original[usable], HOMOGENEOUS))
    return float(filtered[homogeneous].mean() / original[homogeneous].mean())


def edge_preservation_index(before: UInt8[np.ndarray, "H W"], after: UInt8[np.ndarray, "H W"]) -> float:
    """How much of the fine structure is left: 1 all of it, 0 none.

    EPI = Σ (Δo - mean Δo)(Δf - mean Δf) / sqrt(Σ (Δo - mean Δo)² Σ (Δf - mean Δf)²), the correlation of the
    Laplacians (3x3, four neighbours) of the original (o) and the filtered (f) image (Sattar, Floreby, Salomonsson and
    Lövström, IEEE Transactions on Image Processing 6(6), 1997). They had an image without noise to compare with; on a
    real one the original's speckle counts as structure, so that the index falls as speckle does. Compare filters at
    equal SSI. NaN if either image is flat.
    """
    original, filtered = (_laplacian(image) for image in (before, after))
    scale = np.sqrt((original**2).sum() * (filtered**2).sum())
    return float((original * filtered).sum() / scale) if scale > 0 else float("nan")


def _variations(image: UInt8[np.ndarray, "H W"]) -> Float[np.ndarray, "H//16 W//16"]:
    """Standard deviation over mean of every square; NaN where it is black."""
    rows, columns = (side // TILE for side in image.shape)
    squares = image[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE).astype(np.float64)
    mean = squares.mean(axis=(1, 3))
    return np.divide(squares.std(axis=(1, 3)), mean, out=np.full_like(mean, np.nan), where=mean > 0)


def _laplacian(image: UInt8[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """Less its mean."""
    response = cv2.Laplacian(image, cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REFLECT)
    return response - response.mean()
