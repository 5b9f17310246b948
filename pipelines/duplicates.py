"""Near duplicates: which images of a data set show the same picture, and the groups that must stay in one split.

Two images show the same picture when their correlation reaches `similarity` in either of two measures:

1. Pearson's correlation of their grey 32x32 thumbnails, blind to brightness, contrast, noise and compression.
2. The correlation of 96x96 thumbnails after a small affine alignment (enhanced correlation coefficient, Evangelidis
   and Psarakis, IEEE TPAMI 30(10), 2008): the same picture cropped or scaled a little differently.

Both are taken only of pairs whose 16x16 thumbnails have a correlation of `CANDIDATE`; 94 to 98 % of BUSI's images still
have it with their own copy when 5 to 8 % of one side are cropped.

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
from jaxtyping import Float32, UInt8

from pipelines.parallel import threaded
from pipelines.pictures import as_channels

CANDIDATE = 0.85
"""Correlation of 16x16 thumbnails from which a pair is worth a closer look."""

SIDE = 96
"""Side of the thumbnails that are kept; the smaller ones are made from them."""

FARTHEST = SIDE / 4
"""How many pixels an alignment may move a corner by: it finds crops, it does not invent them."""

BLOCK = 2048
"""Rows of the correlation matrix held at a time, so that memory grows with the images and not with their square."""

NAME_LENGTH = 12


@dataclass(frozen=True)
class Pair:
    """Two images, by position, first < second, and the correlation that makes them the same picture."""

    first: int
    second: int
    similarity: float


def thumbnail(image: UInt8[np.ndarray, "H W *rgb"]) -> Float32[np.ndarray, "96 96"]:
    """A grey image's (or an RGB image's luma's) mean over 96x96 cells, whatever its aspect."""
    return cv2.resize(as_channels(image, 1).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def near_duplicates(thumbnails: Float32[np.ndarray, "N 96 96"], similarity: float) -> list[Pair]:
    """All pairs that show the same picture. Images without any contrast resemble nothing."""

    def judge(positions: tuple[int, int]) -> Pair:
        first, second = thumbnails[list(positions)]
        plain = float(np.corrcoef(shrunk(first, 32).ravel(), shrunk(second, 32).ravel())[0, 1])
        return Pair(*positions, plain if plain >= similarity else aligned_correlation(first, second, similarity))

    judged = threaded(judge, _candidates(thumbnails), "comparing", unit="pairs")
    return [pair for pair in judged if pair.similarity >= similarity]


def aligned_correlation(
    first: Float32[np.ndarray, "96 96"], second: Float32[np.ndarray, "96 96"], similarity: float
) -> float:
    """Correlation of two thumbnails where they overlap after the best small affine alignment.

    At half the size and blurred first, where it finds its way and most pairs are told apart; then sharp, which tells
    the same picture from a similar one. 0 if no alignment is found or the first step does not reach `similarity`.
    """
    warp = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-4)
    half = SIDE // 2
    try:
        rough, warp = cv2.findTransformECC(
            shrunk(first, half), shrunk(second, half), warp, cv2.MOTION_AFFINE, stop, None, 3
        )
        if rough < similarity:
            return 0.0
        warp[:, 2] *= 2
        correlation, warp = cv2.findTransformECC(first, second, warp, cv2.MOTION_AFFINE, stop, None, 1)
    except cv2.error:  # how OpenCV says that the alignment does not converge
        return 0.0
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]], dtype=np.float32)
    moved = np.abs(corners @ warp.T - corners[:, :2]).max()
    return float(correlation) if moved <= FARTHEST else 0.0


def shrunk(thumbnails: Float32[np.ndarray, "*N 96 96"], side: int) -> Float32[np.ndarray, "*N side side"]:
    """Mean over square cells; `side` divides 96."""
    cell = SIDE // side
    return thumbnails.reshape(*thumbnails.shape[:-2], side, cell, side, cell).mean(axis=(-3, -1))


def _candidates(thumbnails: Float32[np.ndarray, "N 96 96"]) -> list[tuple[int, int]]:
    small = shrunk(thumbnails, 16).reshape(len(thumbnails), -1)
    small = small - small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    unit = np.divide(small, length, out=np.zeros_like(small), where=length > 0)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(unit), BLOCK):
        correlation = unit[start : start + BLOCK] @ unit[start:].T
        rows, columns = np.nonzero(np.triu(correlation >= CANDIDATE, k=1))
        pairs += zip((rows + start).tolist(), (columns + start).tolist(), strict=True)
    return pairs


def group_names(hashes: Sequence[str], pairs: Sequence[Pair], patients: Sequence[str | None]) -> list[str]:
    """The group of each image: connected through near-duplicate pairs, equal files, or the same patient.

    A group is named after the smallest hash among its members, so that its name depends neither on the order of the
    files nor on what else the data set holds.
    """
    edges = [(pair.first, pair.second) for pair in pairs]
    for shared in (hashes, patients):
        first_with: dict[str, int] = {}
        edges += [(first_with.setdefault(key, index), index) for index, key in enumerate(shared) if key is not None]
    leader = list(range(len(hashes)))

    def leader_of(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for first, second in edges:
        one, other = sorted((leader_of(first), leader_of(second)), key=lambda index: hashes[index])
        leader[other] = one
    return [hashes[leader_of(index)][:NAME_LENGTH] for index in range(len(hashes))]
