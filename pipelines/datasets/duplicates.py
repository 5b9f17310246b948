"""Near duplicates: which images of a data set show the same picture, and the groups that must stay in one split.

Two images show the same picture when one of two correlations is high enough:

1. Pearson's, of their grey 32x32 thumbnails, blind to brightness, contrast, noise and compression: `similarity`.
2. That of their 96x96 thumbnails after a small affine alignment (enhanced correlation coefficient, Evangelidis and
   Psarakis, IEEE TPAMI 30(10), 2008), for a picture cropped or scaled a little differently: half as far from 1 as
   `similarity`, because six numbers are fitted first. At 0.95, two heads of different people reach 0.973.

An alignment is only tried where one image, or a crop of it (`CROPS`), has a plain correlation of `CANDIDATE` with the
other. On BUSI this finds all 187 pairs that measuring each of the 208,981 pairs finds, from 1,187 candidates.

The default similarity of 0.95 was set by eye and by counting, on copies of at most 256 px. On BUSI's lesions the first
measure has its valley at 0.93 to 0.95; every pair above it shows the same lesion, the first that does not lies at
0.941. The second leaves a gap between 0.94 and 0.976. On BUS-BRA, where patients are known, no two of 1,064 patients
reach 0.95 in either. Slices of heads look more alike: in the brain MRI set the sampled pairs from 0.98 on are one
picture, between 0.95 and 0.98 also lie neighbouring slices of one patient, which belong in one split as well. Plain
thumbnails at 0.98, the rule under which BUSI's duplicates were first counted, find a subset of these pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from pipelines.core.console import track
from pipelines.core.images import as_channels
from pipelines.core.parallel import threaded

CANDIDATE = 0.87
"""Correlation of 32x32 thumbnails, one perhaps cropped, from which it is worth trying to align a pair."""

SIDE = 96
"""Side of the thumbnails that are kept; the smaller ones are made from them."""

CROPS = ((0, 0, 0, 0), (12, 0, 0, 0), (0, 12, 0, 0), (12, 12, 0, 0), (0, 0, 8, 0), (0, 0, 0, 8), (8, 8, 8, 8))
"""What is cut off a thumbnail before it is compared with others: pixels at the left, right, top and bottom."""

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

    Time: N² products of sketches for each crop, 144 multiplications each; one correlation for every pair that these
    bounds let through; one alignment for every candidate that is not alike as it stands. Memory: 18 kB an image and
    some 300 MB.
    """
    first, second = candidates(thumbnails)
    patterns = patterns_of(thumbnails, CROPS[0])

    def judge(index: int) -> Pair:
        one, other = int(first[index]), int(second[index])
        correlation = float(patterns[one] @ patterns[other])
        if correlation < similarity:
            correlation = aligned_correlation(thumbnails[one], thumbnails[other], (1 + similarity) / 2)
        return Pair(one, other, correlation)

    judged = threaded(judge, range(len(first)), "comparing", unit="pairs")
    return [pair for pair in judged if pair.similarity >= similarity]


def candidates(
    thumbnails: UInt8[np.ndarray, "N 96 96"],
) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """First and second of every pair of which one, cropped, has a correlation of CANDIDATE with the other; ordered."""
    count = len(thumbnails)
    whole = patterns_of(thumbnails, CROPS[0])
    sketches = sketches_of(whole)
    tiles = list(itertools.product(CROPS, range(0, count, TILE)))
    found = np.empty(0, np.int64)
    for crop, top in track(tiles, "searching", total=len(tiles), unit="rows of tiles"):
        cropped = patterns_of(thumbnails[top : top + TILE], crop)
        rows, columns = _alike(cropped, sketches_of(cropped), whole, sketches)
        rows += top
        apart = rows != columns
        low, high = np.minimum(rows, columns)[apart], np.maximum(rows, columns)[apart]
        found = np.union1d(found, low * count + high)
    return found // count, found % count


def patterns_of(
    thumbnails: UInt8[np.ndarray, "N 96 96"], crop: tuple[int, int, int, int]
) -> Float32[np.ndarray, "N 1024"]:
    """Cropped 32x32 thumbnails with mean 0 and length 1, so that a product is a correlation; 0 without any contrast."""
    left, right, top, bottom = crop
    patterns = np.empty((len(thumbnails), 1024), np.float32)
    for pattern, picture in zip(patterns, thumbnails, strict=True):
        piece = picture[top : SIDE - bottom, left : SIDE - right].astype(np.float32)
        small = cv2.resize(piece, (32, 32), interpolation=cv2.INTER_AREA).ravel()
        small -= small.mean()
        length = float(np.linalg.norm(small))
        pattern[:] = small / length if length > 1e-3 else 0
    return patterns


def sketches_of(patterns: Float32[np.ndarray, "N 1024"]) -> Float32[np.ndarray, "N 144"]:
    """Low frequencies of each pattern and the length of all the others: products bound correlations from above.

    With a pattern's discrete cosine transform split into low and high frequencies, u = (l, h), Parseval's theorem and
    the Cauchy-Schwarz inequality give

        u·v = l_u·l_v + h_u·h_v ≤ l_u·l_v + |h_u| |h_v| = (l_u, |h_u|)·(l_v, |h_v|)

    so that no pair at or above a correlation is lost by looking only where the sketches' product reaches it. The
    64-bit perceptual hash keeps the signs of the lowest 8x8 of them, and does lose pairs: see benchmarks/duplicates.py.
    """
    from scipy.fft import dctn  # where it is used: whoever reads params.yaml imports this module

    sketches = np.empty((len(patterns), LOW * LOW), np.float32)
    for start in range(0, len(patterns), TILE):
        block = patterns[start : start + TILE]
        low = dctn(block.reshape(-1, 32, 32), axes=(1, 2), norm="ortho")[:, :LOW, :LOW].reshape(len(block), -1)[:, 1:]
        sketches[start : start + TILE, :-1] = low  # without the mean, which is 0
        high = np.square(block).sum(axis=1) - np.square(low).sum(axis=1)
        sketches[start : start + TILE, -1] = np.sqrt(np.maximum(high, 0))
    return sketches


def _alike(
    patterns: Float32[np.ndarray, "R 1024"],
    sketches: Float32[np.ndarray, "R 144"],
    whole: Float32[np.ndarray, "N 1024"],
    whole_sketches: Float32[np.ndarray, "N 144"],
) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """Rows of `patterns` and of `whole` whose correlation reaches CANDIDATE."""
    found = []
    for left in range(0, len(whole), TILE):
        bounds = sketches @ whole_sketches[left : left + TILE].T
        rows, columns = np.divmod(np.flatnonzero(bounds >= CANDIDATE - ROUNDING), bounds.shape[1])
        columns += left
        for start in range(0, len(rows), BATCH):
            some = slice(start, start + BATCH)
            correlation = np.einsum("pi,pi->p", patterns[rows[some]], whole[columns[some]])
            kept = correlation >= CANDIDATE
            found.append((rows[some][kept], columns[some][kept]))
    return (
        np.concatenate([rows for rows, _ in found] or [np.empty(0, np.int64)]),
        np.concatenate([columns for _, columns in found] or [np.empty(0, np.int64)]),
    )


def aligned_correlation(first: UInt8[np.ndarray, "96 96"], second: UInt8[np.ndarray, "96 96"], least: float) -> float:
    """Correlation of two thumbnails where they overlap after the best small affine alignment; 0 if below `least`."""
    correlation, _ = align(first, second, least)
    return correlation if correlation >= least else 0.0


def align(
    first: UInt8[np.ndarray, "96 96"], second: UInt8[np.ndarray, "96 96"], least: float = 0.0
) -> tuple[float, Float32[np.ndarray, "2 3"]]:
    """The best small affine alignment of two thumbnails: their correlation where they overlap, and the map from pixels
    of `first` to pixels of `second`.

    At half the size and blurred first, where it finds its way and most pairs are told apart; then sharp, which tells
    the same picture from a similar one. 0 if no alignment is found or the first step does not come near `least`.
    """
    warp = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-4)
    try:
        rough, warp = cv2.findTransformECC(_half(first), _half(second), warp, cv2.MOTION_AFFINE, stop, None, 3)
        if rough < least - 0.05:
            return 0.0, warp
        warp[:, 2] *= 2
        correlation, warp = cv2.findTransformECC(first, second, warp, cv2.MOTION_AFFINE, stop, None, 1)
    except cv2.error:  # how OpenCV says that the alignment does not converge
        return 0.0, warp
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]], dtype=np.float32)
    moved = np.abs(corners @ warp.T - corners[:, :2]).max()
    return (float(correlation) if moved <= FARTHEST else 0.0), warp


def _half(thumbnail: UInt8[np.ndarray, "96 96"]) -> Float32[np.ndarray, "48 48"]:
    return cv2.resize(thumbnail.astype(np.float32), (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)


def group_names(hashes: Sequence[str], pairs: Sequence[Pair], patients: Sequence[str | None]) -> list[str]:
    """The group of each image: connected through near-duplicate pairs, equal files, or the same patient.

    A group is named after the smallest hash among its members, so that its name depends neither on the order of the
    files nor on what else the data set holds.
    """
    return [hashes[leader][:NAME_LENGTH] for leader in leaders(hashes, pairs, [hashes, patients])]


def leaders(names: Sequence[str], pairs: Sequence[Pair], shared: Sequence[Sequence[str | None]]) -> list[int]:
    """The member with the smallest name of each image's group, by position.

    Args:
        names: Of the images.
        pairs: Images that belong together.
        shared: Lists of keys, one for each image; those with an equal key belong together as well.
    """
    edges = [(pair.first, pair.second) for pair in pairs]
    for keys in shared:
        first_with: dict[str, int] = {}
        edges += [(first_with.setdefault(key, index), index) for index, key in enumerate(keys) if key is not None]
    leader = list(range(len(names)))

    def leader_of(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for first, second in edges:
        one, other = sorted((leader_of(first), leader_of(second)), key=lambda index: names[index])
        leader[other] = one
    return [leader_of(index) for index in range(len(names))]
