"""Near duplicates: which images of a data set show the same picture, and the groups that must stay in one split.

Two images show the same picture when their correlation reaches `similarity` in either of two measures:

1. Pearson's correlation of their grey 32x32 thumbnails, blind to brightness, contrast, noise and compression.
2. For pairs whose first measure is at least `CANDIDATE`, the correlation of 96x96 thumbnails after an affine
   alignment (enhanced correlation coefficient, Evangelidis and Psarakis, IEEE TPAMI 30(10), 2008): the same picture
   cropped or scaled a little differently.

The default similarity of 0.95 was set by eye and by counting, on copies of at most 256 px. On BUSI's lesions the first
measure has its valley at 0.93 to 0.95; every pair above it shows the same lesion, the first that does not lies at
0.941. The second leaves a gap between 0.94 and 0.985. On BUS-BRA, where patients are known, no two of 1,064 patients
reach 0.92 in either. Plain thumbnails at 0.98, the rule under which BUSI's duplicates were first counted, find a
subset of these pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.parallel import threaded
from pipelines.pictures import as_channels

CANDIDATE = 0.85
"""Thumbnail correlation from which a pair is worth aligning."""

COARSE, FINE = 32, 96
FARTHEST = FINE / 4
"""How many pixels of the fine thumbnail an alignment may move a corner by: it finds crops, it does not invent them."""

BLOCK = 2048
"""Rows of the correlation matrix held at a time, so that memory grows with the images and not with their square."""

NAME_LENGTH = 12


@dataclass(frozen=True)
class Pair:
    """Two images, by position, first < second, and the higher of their two correlations."""

    first: int
    second: int
    similarity: float


def thumbnail(image: UInt8[np.ndarray, "H W *rgb"]) -> Float32[np.ndarray, "96 96"]:
    """A grey image's (or an RGB image's luma's) mean over 96x96 cells, whatever its aspect."""
    return cv2.resize(as_channels(image, 1).astype(np.float32), (FINE, FINE), interpolation=cv2.INTER_AREA)


def near_duplicates(thumbnails: Float32[np.ndarray, "N 96 96"], similarity: float) -> list[Pair]:
    """All pairs that show the same picture. Images without any contrast resemble nothing."""
    candidates = _candidates(thumbnails)

    def judge(pair: Pair) -> Pair:
        if pair.similarity >= similarity:
            return pair
        aligned = aligned_correlation(thumbnails[pair.first], thumbnails[pair.second])
        return Pair(pair.first, pair.second, max(pair.similarity, aligned))

    judged = threaded(judge, candidates, "comparing", unit="pairs")
    return [pair for pair in judged if pair.similarity >= similarity]


def _candidates(thumbnails: Float32[np.ndarray, "N 96 96"]) -> list[Pair]:
    step = FINE // COARSE
    coarse = thumbnails.reshape(-1, COARSE, step, COARSE, step).mean(axis=(2, 4)).reshape(-1, COARSE**2)
    coarse = coarse - coarse.mean(axis=1, keepdims=True)
    length = np.linalg.norm(coarse, axis=1, keepdims=True)
    unit = np.divide(coarse, length, out=np.zeros_like(coarse), where=length > 0)
    pairs = []
    for start in range(0, len(unit), BLOCK):
        correlation = unit[start : start + BLOCK] @ unit[start:].T
        rows, columns = np.nonzero(np.triu(correlation >= CANDIDATE, k=1))
        pairs += [
            Pair(start + int(row), start + int(column), float(correlation[row, column]))
            for row, column in zip(rows, columns, strict=True)
        ]
    return pairs


def aligned_correlation(first: Float32[np.ndarray, "96 96"], second: Float32[np.ndarray, "96 96"]) -> float:
    """Correlation of two thumbnails where they overlap after the best small affine alignment; 0 if there is none."""
    warp = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-4)
    try:
        for blur in (5, 1):  # blurred, it finds its way; sharp, it tells the same picture from a similar one
            correlation, warp = cv2.findTransformECC(first, second, warp, cv2.MOTION_AFFINE, stop, None, blur)
    except cv2.error:  # how OpenCV says that the alignment does not converge
        return 0.0
    corners = np.array([[0, 0, 1], [FINE, 0, 1], [0, FINE, 1], [FINE, FINE, 1]], dtype=np.float32)
    moved = np.abs(corners @ warp.T - corners[:, :2]).max()
    return float(correlation) if moved <= FARTHEST else 0.0


def group_names(hashes: Sequence[str], pairs: Sequence[Pair], patients: Sequence[str | None]) -> list[str]:
    """The group of each image: connected through near-duplicate pairs, equal files, or the same patient.

    A group is named after the smallest hash among its members, so that its name depends neither on the order of the
    files nor on what else the data set holds.
    """
    edges = [(pair.first, pair.second) for pair in pairs]
    for shared in (hashes, patients):
        first_with: dict[str, int] = {}
        edges += [(first_with.setdefault(key, index), index) for index, key in enumerate(shared) if key is not None]
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(hashes), len(hashes)))
    _, component = connected_components(graph, directed=False)
    smallest = pd.Series(hashes, dtype=object).groupby(component).transform("min")
    return [name[:NAME_LENGTH] for name in smallest]
