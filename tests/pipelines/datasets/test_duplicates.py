"""Near duplicates: planted ones are found, others are not, and groups keep their names."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import zipfile
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets import duplicates
from pipelines.datasets.duplicates import (
    CANDIDATE,
    CROPS,
    Pair,
    aligned_correlation,
    group_names,
    near_duplicates,
    thumbnail,
)
from tests.support.mirror import archive

SIMILARITY = 0.95


def ultrasound(seed: int, height: int = 200, width: int = 256) -> np.ndarray:
    """Layers, a lesion somewhere, and speckle: as alike as two ultrasound pictures of different people."""
    random = np.random.default_rng(seed)
    layers = cv2.resize(random.uniform(40, 200, (9, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    centre = (int(random.uniform(60, width - 60)), int(random.uniform(60, height - 60)))
    cv2.ellipse(layers, centre, (45, 25), random.uniform(-20, 20), 0, 360, 15.0, -1)
    speckle = cv2.GaussianBlur(random.rayleigh(1.0, layers.shape), (0, 0), 1.2)
    return np.clip(layers * speckle / speckle.mean(), 0, 255).astype(np.uint8)


def noisy(image: np.ndarray) -> np.ndarray:
    return np.clip(image + np.random.default_rng(0).normal(0, 25, image.shape), 0, 255).astype(np.uint8)


def compressed(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_GRAYSCALE)


def annotated(image: np.ndarray) -> np.ndarray:
    marked = cv2.putText(image.copy(), "LT UOQ", (20, 180), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    return cv2.drawMarker(marked, (120, 90), 255, cv2.MARKER_CROSS, 12, 2)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "copy": np.copy,
    "noise": noisy,
    "compression": compressed,
    "brighter": lambda image: np.clip(image * 0.8 + 40, 0, 255).astype(np.uint8),
    "darker": lambda image: (image * 0.4).astype(np.uint8),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "calipers and text": annotated,
    "in colour": lambda image: cv2.cvtColor(image, cv2.COLOR_GRAY2RGB),
    "cropped below": lambda image: image[:-10],
    "cropped left and above": lambda image: image[8:, 12:],
    "cropped to a part": lambda image: image[10:-15, 25:-30],
}


def positions(images: list[np.ndarray]) -> set[tuple[int, int]]:
    pairs = near_duplicates(np.stack([thumbnail(image) for image in images]), SIMILARITY)
    return {(pair.first, pair.second) for pair in pairs}


@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_duplicate_is_found_and_nothing_else(change: str) -> None:
    images = [ultrasound(seed) for seed in range(40)]
    assert positions([*images, CHANGES[change](images[17])]) == {(17, 40)}


def test_a_crop_is_found_only_by_aligning() -> None:
    first, second = (thumbnail(image) for image in (ultrasound(3), CHANGES["cropped left and above"](ultrasound(3))))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < SIMILARITY
    assert aligned_correlation(first, second, SIMILARITY) > 0.98
    assert aligned_correlation(first, thumbnail(ultrasound(4)), SIMILARITY) < SIMILARITY


def test_images_without_contrast_resemble_nothing() -> None:
    assert positions([np.full((50, 60), grey, dtype=np.uint8) for grey in (0, 0, 128, 255)]) == set()
    black, picture = np.zeros((96, 96), dtype=np.uint8), thumbnail(ultrasound(0))
    assert aligned_correlation(black, picture, SIMILARITY) == 0


def all_pairs(thumbnails: np.ndarray, similarity: float) -> list[tuple[int, int]]:
    """The definition, without any shortcut: correlate every pair and every crop, align where that comes near."""
    count = len(thumbnails)
    whole, *cropped = [duplicates.patterns_of(thumbnails, crop) for crop in CROPS]
    plain = np.corrcoef(whole)
    nearest = np.max([plain, *(np.corrcoef(one, whole)[:count, count:] for one in cropped)], axis=0)
    return [
        (first, second)
        for first, second in itertools.combinations(range(count), 2)
        if plain[first, second] >= similarity
        or (
            max(nearest[first, second], nearest[second, first]) >= CANDIDATE
            and aligned_correlation(thumbnails[first], thumbnails[second], (1 + similarity) / 2) > 0
        )
    ]


def blurred(seed: int) -> np.ndarray:
    """A thumbnail of a few smooth blobs, half of them shared by four seeds: alike, but not the same."""
    common, own = (np.random.default_rng(one).normal(size=(6, 6)) for one in (seed // 4, 1000 + seed))
    smooth = cv2.resize(common + 0.4 * own, (96, 96), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.mark.parametrize("similarity", [0.88, 0.9, 0.95])
def test_sketches_and_tiles_find_what_comparing_all_pairs_finds(
    similarity: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    similar, same = [blurred(seed) for seed in range(60)], [thumbnail(ultrasound(seed % 3)) for seed in range(9)]
    thumbnails = np.stack([*similar, *same])
    expected = all_pairs(thumbnails, similarity)
    assert len(expected) > 9
    for tile, batch in ((4096, 8192), (7, 3)):
        monkeypatch.setattr("pipelines.datasets.duplicates.TILE", tile)
        monkeypatch.setattr("pipelines.datasets.duplicates.BATCH", batch)
        found = near_duplicates(thumbnails, similarity)
        assert [(pair.first, pair.second) for pair in found] == expected


@pytest.mark.slow
def test_busi_and_brain_slices_have_the_pairs_that_comparing_all_finds() -> None:
    for name, folder in (("Dataset_BUSI.zip", "malignant"), ("brain-tumor-mri-dataset.zip", "Testing/notumor")):
        thumbnails = np.stack([thumbnail(image) for image in pictures(name, folder)])
        found = near_duplicates(thumbnails, SIMILARITY)
        assert len(found) > 10
        assert [(pair.first, pair.second) for pair in found] == all_pairs(thumbnails, SIMILARITY)


def pictures(name: str, folder: str) -> list[np.ndarray]:
    with zipfile.ZipFile(archive(name)) as opened:
        names = sorted(n for n in opened.namelist() if f"{folder}/" in n and "_mask" not in n and not n.endswith("/"))
        return [cv2.imdecode(np.frombuffer(opened.read(name), np.uint8), cv2.IMREAD_GRAYSCALE) for name in names]


@given(st.integers(0, 2**32 - 1))
def test_no_pair_is_lost_by_looking_at_sketches(seed: int) -> None:
    """A sketch's product with another is never below the correlation, whatever the pictures."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (4, 96, 96), dtype=np.uint8)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), random.uniform(1, 9)) for one in noise])
    thumbnails = np.concatenate([noise, smooth])
    patterns = duplicates.patterns_of(thumbnails, CROPS[0])
    sketches = duplicates.sketches_of(patterns)
    assert (sketches @ sketches.T >= patterns @ patterns.T - duplicates.ROUNDING).all()
    np.testing.assert_allclose(np.linalg.norm(sketches, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_memory_grows_with_the_images_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """800 images have 3.3 MB of patterns; all correlations of seven crops at once would be 18 MB."""
    monkeypatch.setattr("pipelines.datasets.duplicates.TILE", 128)
    monkeypatch.setattr("pipelines.datasets.duplicates.BATCH", 256)
    coarse = np.random.default_rng(0).integers(0, 256, (800, 12, 12), dtype=np.uint8)
    thumbnails = coarse.repeat(8, axis=1).repeat(8, axis=2)
    tracemalloc.start()
    try:
        duplicates.candidates(thumbnails)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 7_000_000


def hashes(count: int) -> list[str]:
    return [f"{(number * 7919) % 1000:064d}" for number in range(count)]


def test_groups_by_hand() -> None:
    """0-1 and 1-2 are alike, 3 and 4 are one patient, 5 and 6 one file; 7 is alone."""
    names = ["5", "3", "4", "9", "8", "7", "7", "1"]
    patients = [None, None, None, "p", "p", None, None, "q"]
    groups = group_names(names, [Pair(0, 1, 0.97), Pair(1, 2, 0.99)], patients)
    assert groups == ["3", "3", "3", "8", "8", "7", "7", "1"]


def test_a_patient_joins_what_similarity_has_joined() -> None:
    groups = group_names(["a", "b", "c", "d"], [Pair(0, 1, 1.0), Pair(2, 3, 1.0)], [None, "p", "p", None])
    assert set(groups) == {"a"}


edges = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda edge: edge[0] < edge[1]), max_size=20)


@given(edges, st.randoms(use_true_random=False))
def test_names_depend_on_neither_order_nor_other_images(edges: list[tuple[int, int]], shuffler: random.Random) -> None:
    names, patients = hashes(20), [None] * 20
    groups = group_names(names, [Pair(*edge, 1.0) for edge in edges], patients)
    order = list(range(20))
    shuffler.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    moved = [Pair(*sorted((place[first], place[second])), 1.0) for first, second in edges]
    assert group_names([names[old] for old in order], moved, patients) == [groups[old] for old in order]
    more = group_names([*names, "x", "0"], [Pair(*edge, 1.0) for edge in edges], [*patients, None, None])
    assert more[:20] == groups


def test_no_image_has_no_group() -> None:
    assert group_names([], [], []) == []
