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

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from pipelines.console import track
from pipelines.parallel import threaded
from pipelines.pictures import as_channels

CANDIDATE = 0.85
"""Correlation of 32x32 thumbnails from which it is worth trying to align a pair."""

SIDE = 96
"""Side of the thumbnails that are kept; the smaller ones are made from them."""

LOW = 12
"""The sketch of an image holds the LOW x LOW lowest frequencies of its 32x32 thumbnail, LOW² numbers in all."""

FARTHEST = SIDE / 4
"""How many pixels an alignment may move a corner by: it finds crops, it does not invent them."""

TILE = 4096
"""Pairs of sketches are compared TILE x TILE at a time, so that memory grows with the images, not with their square."""

BATCH = 8192
"""Pairs of thumbnails that are correlated at a time."""

ROUNDING = 1e-5
"""By how much float32 may understate a bound."""

NAME_LENGTH = 12


@dataclass(frozen=True)
class Pair:
    """Two images, by position, first < second, and the correlation that makes them the same picture."""

    first: int
    second: int
    similarity: float


def thumbnail(image: UInt8[np.ndarray, "H W *rgb"]) -> UInt8[np.ndarray, "96 96"]:
    """A grey image's (or an RGB image's luma's) mean over 96x96 cells, whatever its aspect."""
    return cv2.resize(as_channels(image, 1), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def near_duplicates(thumbnails: UInt8[np.ndarray, "N 96 96"], similarity: float) -> list[Pair]:
    """All pairs that show the same picture, in order. Images without any contrast resemble nothing.

    Time: N²/2 products of sketches, 144 multiplications each; then one correlation for every pair that the bound lets
    through, and one alignment for every pair at or above CANDIDATE but below `similarity`. Memory: 14 kB an image and
    some 200 MB.
    """
    patterns = _patterns(thumbnails)
    first, second, plain = _correlated(patterns, _sketches(patterns))

    def judge(index: int) -> Pair:
        one, other, correlation = int(first[index]), int(second[index]), float(plain[index])
        if correlation < similarity:
            correlation = aligned_correlation(thumbnails[one], thumbnails[other], similarity)
        return Pair(one, other, correlation)

    judged = threaded(judge, range(len(first)), "comparing", unit="pairs")
    return [pair for pair in judged if pair.similarity >= similarity]


def _patterns(thumbnails: UInt8[np.ndarray, "N 96 96"]) -> Float32[np.ndarray, "N 1024"]:
    """32x32 thumbnails with mean 0 and length 1, so that a product is a correlation; 0 without any contrast."""
    patterns = np.empty((len(thumbnails), 1024), np.float32)
    for start in range(0, len(thumbnails), BATCH):
        small = shrunk(thumbnails[start : start + BATCH], 32).reshape(-1, 1024)
        small -= small.mean(axis=1, keepdims=True)
        length = np.linalg.norm(small, axis=1, keepdims=True)
        patterns[start : start + BATCH] = np.divide(small, length, out=np.zeros_like(small), where=length > 0)
    return patterns


def _sketches(patterns: Float32[np.ndarray, "N 1024"]) -> Float32[np.ndarray, "N 144"]:
    """Low frequencies of each pattern and the length of all the others: products bound correlations from above.

    With the pattern's discrete cosine transform split into low and high frequencies, u = (l, h), Parseval's theorem
    and Cauchy and Schwarz's inequality give

        u·v = l_u·l_v + h_u·h_v ≤ l_u·l_v + |h_u| |h_v| = (l_u, |h_u|)·(l_v, |h_v|)

    so that no pair at or above a correlation is lost by looking only where the sketches' product reaches it. (The
    familiar 64-bit perceptual hash keeps the signs of 8x8 of these numbers and loses a twentieth of BUSI's pairs and
    a seventh of those of dark MRI slices at 16 bits of difference: `python -m benchmarks.duplicates`.)
    """
    sketches = np.empty((len(patterns), LOW * LOW), np.float32)
    for sketch, pattern in zip(sketches, patterns, strict=True):
        low = cv2.dct(pattern.reshape(32, 32))[:LOW, :LOW].ravel()[1:]  # the first is the mean, 0
        sketch[:-1] = low
        sketch[-1] = math.sqrt(max(0.0, float(pattern @ pattern) - float(low @ low)))
    return sketches


def _correlated(
    patterns: Float32[np.ndarray, "N 1024"], sketches: Float32[np.ndarray, "N 144"]
) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"], Float32[np.ndarray, " P"]]:
    """First, second and correlation of every pair that reaches CANDIDATE, ordered."""
    starts = range(0, len(sketches), TILE)
    tiles = [(top, left) for top in starts for left in starts if left >= top]
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    for top, left in track(tiles, "searching", total=len(tiles), unit="tiles"):
        bound = sketches[top : top + TILE] @ sketches[left : left + TILE].T
        likely = bound >= CANDIDATE - ROUNDING
        rows, columns = np.nonzero(np.triu(likely, k=1) if top == left else likely)
        for start in range(0, len(rows), BATCH):
            first, second = rows[start : start + BATCH] + top, columns[start : start + BATCH] + left
            plain = np.einsum("pi,pi->p", patterns[first], patterns[second])
            kept = plain >= CANDIDATE
            found.append((first[kept], second[kept], plain[kept]))
    first, second, plain = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((second, first))
    return first[order], second[order], plain[order]


def aligned_correlation(
    first: UInt8[np.ndarray, "96 96"], second: UInt8[np.ndarray, "96 96"], similarity: float
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


def shrunk(thumbnails: UInt8[np.ndarray, "*N 96 96"], side: int) -> Float32[np.ndarray, "*N side side"]:
    """Mean over square cells; `side` divides 96."""
    cell = SIDE // side
    cells = thumbnails.reshape(*thumbnails.shape[:-2], side, cell, side, cell)
    return cells.mean(axis=(-3, -1), dtype=np.float32)


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
