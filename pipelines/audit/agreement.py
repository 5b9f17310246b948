"""How far the masks of duplicates agree: no model can do better than the annotators do among themselves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.audit.audit import Audit
from pipelines.core.images import resize_mask
from pipelines.core.parallel import threaded
from pipelines.datasets.cases import case_mask
from pipelines.datasets.duplicates import SIDE, Pair, align
from pipelines.datasets.readers.meaning import foreground

SIZE = 256
"""Side at which two masks are compared."""


@dataclass(frozen=True)
class Agreement:
    """Overlap of the masks of near duplicates.

    Attributes:
        pairs: How many were compared: those of images with a lesion on one of the two at least.
        median_iou, mean_iou: Intersection over union.
        median_dice: 2 IoU / (1 + IoU), which bounds the Dice coefficient to be hoped for.
        equal: Pairs whose masks are the same.
    """

    pairs: int
    median_iou: float
    mean_iou: float
    median_dice: float
    equal: int


def mask_agreement(audit: Audit) -> Agreement | None:
    """Compare the masks of every pair of near duplicates, the second one's moved onto the first; None without any."""
    if audit.entry.task != "segmentation":
        return None
    overlaps = threaded(lambda pair: _overlap(audit, pair), audit.pairs, "comparing masks", unit="pairs")
    found = np.array([iou for iou in overlaps if np.isfinite(iou)])
    if not len(found):
        return None
    median = float(np.median(found))
    return Agreement(
        pairs=len(found),
        median_iou=round(median, 4),
        mean_iou=round(float(found.mean()), 4),
        median_dice=round(2 * median / (1 + median), 4),
        equal=int((found == 1).sum()),
    )


def _overlap(audit: Audit, pair: Pair) -> float:
    """Intersection over union of two cases' foregrounds; not a number if both are empty or they are volumes."""
    masks = [case_mask(audit.entry, audit.raw, audit.facts[index].case) for index in (pair.first, pair.second)]
    if any(mask.ndim != 2 for mask in masks):
        return float("nan")
    first, second = (resize_mask(foreground(mask).astype(np.uint8), SIZE) for mask in masks)
    return max(_iou(first, second), _iou(first, _moved(audit, pair, second)))


def _moved(audit: Audit, pair: Pair, mask: UInt8[np.ndarray, "S S"]) -> UInt8[np.ndarray, "S S"]:
    """The second image's mask where the first image shows it."""
    thumbnails = audit.looked.thumbnails
    correlation, warp = align(thumbnails[pair.first], thumbnails[pair.second])
    if correlation < audit.similarity:
        return mask
    scale = SIZE / SIDE
    warp = warp.copy()
    warp[:, 2] = scale * warp[:, 2] + (scale - 1) / 2 * (1 - warp[:, :2].sum(axis=1))  # pixel centres
    return cv2.warpAffine(mask, warp, (SIZE, SIZE), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)


def _iou(first: UInt8[np.ndarray, "S S"], second: UInt8[np.ndarray, "S S"]) -> float:
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else float("nan")
