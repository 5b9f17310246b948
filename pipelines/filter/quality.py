"""What a filter did to an image, in two numbers: how much speckle is left, and how much of the edges."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

TILE = 8
"""Side, in pixels, of the squares in which speckle is measured."""

HOMOGENEOUS = 0.25
"""Share of an image's squares that are taken for tissue without structure: those that vary least."""


def speckle_suppression_index(before: UInt8[np.ndarray, "H W"], after: UInt8[np.ndarray, "H W"]) -> float:
    """How much speckle is left: 1 all of it, 0 none.

    SSI = (σ_f / μ_f) / (σ_o / μ_o), the ratio of the coefficients of variation of the filtered (f) and the original
    (o) image (Sheng and Xia, IGARSS 1996, "A comprehensive evaluation of filters for radar speckle suppression").

    Where we differ: structure and slopes of brightness outweigh speckle in a whole image. Both coefficients are means
    over the quarter of its 8x8 squares that vary least in the original, and σ is taken around the plane that fits a
    square best. Squares that are black, or flat but for a slope, take no part. NaN if there are no others.
    """
    original, filtered = _variations(before), _variations(after)
    usable = original > 1e-9
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


def _variations(image: UInt8[np.ndarray, "H W"]) -> Float[np.ndarray, " squares"]:
    """Standard deviation around the best plane, over the mean, of every square; 0 where it is black."""
    rows, columns = (side // TILE for side in image.shape)
    squares = image[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE).swapaxes(1, 2)
    pixels = squares.reshape(-1, TILE * TILE).astype(np.float64)
    mean, deviation = pixels.mean(axis=1), (pixels - pixels @ PLANE).std(axis=1)
    return np.divide(deviation, mean, out=np.zeros_like(mean), where=mean > 0)


def _projection() -> Float[np.ndarray, "64 64"]:
    """A square's pixels times this are those of the plane that fits it best."""
    axes = np.indices((TILE, TILE)).reshape(2, -1)
    basis = np.stack([np.ones(TILE * TILE), *axes], axis=1)
    return basis @ np.linalg.pinv(basis)


PLANE = _projection()


def _laplacian(image: UInt8[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """Less its mean."""
    response = cv2.Laplacian(image, cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REFLECT)
    return response - response.mean()
