"""What the values of voxels mean: brightness of an image as bytes, labels of a mask as whole numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from pipelines.core.console import StageError
from pipelines.datasets.readers.meaning import Meaning

CLIP = (0.5, 99.5)
"""Percentiles of the voxels that show something, which become 0 and 255."""

ROUNDING = 1e-3
"""By how much a label may differ from a whole number."""


def as_bytes(values: Float32[np.ndarray, "D H W"]) -> UInt8[np.ndarray, "D H W"]:
    """The 0.5th to the 99.5th percentile spread over 0 to 255.

    Values that are no number (padding) take no part and become 0. So do those of 0 where nothing is below it, as in
    skull-stripped and in padded volumes; in CT, where air is at -1000, 0 is water and a value as any other.
    """
    shown = np.isfinite(values)
    if not shown.any():
        return np.zeros(values.shape, np.uint8)
    if values[shown].min() == 0:
        shown &= values != 0
        if not shown.any():
            return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(values[shown], CLIP)
    if low == high:
        return np.where(shown, 255, 0).astype(np.uint8)
    clipped = np.clip(np.where(shown, values, low), low, high)
    return np.rint((clipped - low) * (255 / (high - low))).astype(np.uint8)


def as_labels(path: Path, values: Float32[np.ndarray, "D H W"], meaning: Meaning) -> Integer[np.ndarray, "D H W"]:
    """The values of a mask, rounded to whole numbers.

    Raises:
        StageError: naming the file and values that are no label: fractions, no number, or below 0 where the catalogue
            does not say what numbers mean.
    """
    whole = np.rint(values)
    least = 0 if meaning.values is None else -np.inf
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isfinite(values) & (whole >= least) & (whole < 2**31) & (np.abs(values - whole) <= ROUNDING))
    if wrong.any():
        found = [f"{value:.6g}" for value in np.unique(values[wrong])[:4]]
        place = ", ".join(map(str, np.argwhere(wrong)[0].tolist()))
        raise StageError(
            f"{path}: a mask with {', '.join(found)} in {np.count_nonzero(wrong):,} of {wrong.size:,} voxels, the "
            f"first at ({place}) by depth, height and width. Expected whole numbers from 0 (background) on. "
            "Store labels, or say in the catalogue what the `values` mean."
        )
    return whole.astype(np.int64)


def as_classes(path: Path, labels: Integer[np.ndarray, "D H W"], meaning: Meaning) -> UInt8[np.ndarray, "D H W"]:
    """The class index of each voxel. Where the catalogue says nothing of two classes, any label but 0 is the second.

    Raises:
        StageError: naming labels that nobody explained.
    """
    if meaning.by_colour:
        raise StageError(
            f"{path}: `values` of the catalogue are colours. Expected whole numbers, as volumes hold them."
        )
    if meaning.values is not None:
        return meaning.indices(path, labels)
    if len(meaning.classes) > 2:
        raise meaning.refusal(path, np.unique(labels).tolist())
    return (labels != 0).astype(np.uint8)
