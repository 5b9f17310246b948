"""The simulated ultrasound: reproducible, physically plausible, neither trivial nor hopeless to segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pipelines.datasets.cases import read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.readers.images import load_image
from pipelines.datasets.readers.masks import load_mask
from pipelines.fetch.phantom import Scan, generate, simulate
from pipelines.fetch.phantom.__main__ import main
from pipelines.fetch.phantom.anatomy import Tissue
from pipelines.fetch.phantom.grid import CELLS, Grid
from pipelines.fetch.phantom.scanner import Settings, acquire

COUNT = 60
PLAIN = Settings(frequency=7.5, focus=20, dynamic_range=60, gain=0, slope=0, noise=-200, looks=1)


@pytest.fixture(scope="module")
def scans() -> list[Scan]:
    return [simulate(index, seed=0) for index in range(COUNT)]


def uniform(scatter: float = 0.0, attenuation: float = 0.0) -> Tissue:
    plane = np.zeros((CELLS, CELLS), np.float32)
    return Tissue(plane + np.float32(scatter), plane, plane + np.float32(attenuation))


def test_an_image_depends_on_seed_and_index_alone(scans: list[Scan]) -> None:
    again = simulate(17, seed=0)
    np.testing.assert_array_equal(again.image, scans[17].image)
    np.testing.assert_array_equal(again.mask, scans[17].mask)
    assert (again.image != simulate(17, seed=1).image).any()
    assert len({scan.image.tobytes() for scan in scans}) == COUNT


def test_the_cohort_has_both_kinds_and_patients_with_two_views(scans: list[Scan]) -> None:
    assert [scan.stem for scan in scans[:5]] == ["p0001_v1", "p0002_v1", "p0003_v1", "p0003_v2", "p0004_v1"]
    assert sum(scan.label == "malignant" for scan in scans) == COUNT // 3
    labels = {scan.patient: {other.label for other in scans if other.patient == scan.patient} for scan in scans}
    assert all(len(found) == 1 for found in labels.values())


def test_masks_are_one_lesion_of_plausible_size(scans: list[Scan]) -> None:
    shares = np.array([(scan.mask > 0).mean() for scan in scans])
    assert shares.min() > 0.003
    assert shares.max() < 0.45
    assert shares.min() < 0.03 < 0.1 < shares.max()
    for scan in scans:
        assert scan.image.shape == scan.mask.shape == (128, 128)
        assert scan.image.dtype == scan.mask.dtype == np.uint8
        assert set(np.unique(scan.mask)) == {0, 255}
        sizes = np.bincount(ndimage.label(scan.mask)[0].ravel())[1:]
        assert sizes.max() > 0.9 * sizes.sum()


def test_benign_is_wider_than_tall_and_smoother(scans: list[Scan]) -> None:
    def shape(scan: Scan) -> tuple[float, float]:
        inside = scan.mask > 0
        rows, columns = np.nonzero(inside)
        hull = np.ptp(rows) + 1, np.ptp(columns) + 1
        edge = (inside & ~ndimage.binary_erosion(inside)).sum()
        return hull[0] / hull[1], edge**2 / inside.sum()

    kinds = {kind: np.array([shape(scan) for scan in scans if scan.label == kind]) for kind in ("benign", "malignant")}
    tall, rough = np.median(kinds["malignant"], axis=0)
    flat, smooth = np.median(kinds["benign"], axis=0)
    assert flat < 0.85 < tall
    assert smooth < rough


def test_lesions_are_darker_than_what_surrounds_them_but_not_by_a_threshold(scans: list[Scan]) -> None:
    contrasts = []
    for scan in scans:
        inside = scan.mask > 0
        around = ndimage.binary_dilation(inside, iterations=6) & ~ndimage.binary_dilation(inside)
        contrasts.append(scan.image[around].mean() - scan.image[inside].mean())
    assert np.mean(np.array(contrasts) > 5) > 0.85
    assert min(contrasts) < 30 < 70 < max(contrasts)

    best = 0.0
    for level in range(10, 130, 10):
        found = [ndimage.gaussian_filter(scan.image.astype(float), 1.5) < level for scan in scans]
        overlap = [
            2 * (f & (s.mask > 0)).sum() / (f.sum() + (s.mask > 0).sum()) for f, s in zip(found, scans, strict=True)
        ]
        best = max(best, float(np.mean(overlap)))
    assert best < 0.5


def test_sound_is_left_behind_benign_lesions_and_lost_behind_malignant_ones(scans: list[Scan]) -> None:
    def behind(scan: Scan) -> float:
        """Mean grey below the lesion against beside that, at the same depth."""
        rows, columns = np.nonzero(scan.mask)
        below = scan.image[rows.max() + 3 : rows.max() + 18]
        middle = np.zeros(128, bool)
        middle[columns.min() + 2 : columns.max() - 1] = True
        beside = ndimage.binary_dilation(middle, iterations=25) & ~ndimage.binary_dilation(middle, iterations=4)
        return float(below[:, middle].mean() - below[:, beside].mean())

    kinds = {
        kind: [behind(s) for s in scans if s.label == kind and np.nonzero(s.mask)[0].max() < 105]
        for kind in ("benign", "malignant")
    }
    assert np.median(kinds["benign"]) > 2
    assert np.median(kinds["malignant"]) < -8


def test_speckle_is_rayleigh_distributed() -> None:
    """In decibels a Rayleigh envelope has standard deviation 5.57 and mean 10 log10(exp(-0.5772)) = -2.5.

    Averaging the two by two cells of a pixel, which are correlated, takes some of the deviation away, none of the mean.
    """
    image = acquire(np.random.default_rng(0), Grid(38), uniform(), PLAIN)
    decibels = image[16:-16, 16:-16] / 255 * PLAIN.dynamic_range
    assert 3.5 < decibels.std() < 5.57
    assert decibels.mean() - 0.6 * PLAIN.dynamic_range == pytest.approx(-2.5, abs=0.3)


def test_frequency_compounding_calms_the_speckle() -> None:
    spreads = [
        acquire(np.random.default_rng(0), Grid(38), uniform(), Settings(7.5, 20, 60, 0, 0, -200, looks)).std()
        for looks in (1, 3)
    ]
    assert spreads[1] < 0.85 * spreads[0]


def test_the_beam_is_narrowest_at_the_focus() -> None:
    """Width of the lateral autocorrelation of speckle near the probe, at the focus and deep down."""

    def width(rows: np.ndarray) -> float:
        rows = rows - rows.mean(axis=1, keepdims=True)
        return float((rows[:, 1:] * rows[:, :-1]).mean() / (rows**2).mean())

    image = acquire(np.random.default_rng(0), Grid(40), uniform(), PLAIN).astype(float)
    assert width(image[54:74]) < min(width(image[:12]), width(image[-12:]))


def test_attenuation_is_in_decibels_per_millimetre() -> None:
    image = acquire(np.random.default_rng(0), Grid(40), uniform(6.0, 0.5), PLAIN).astype(float)
    rows = image.mean(axis=1) / 255 * PLAIN.dynamic_range
    slope = np.polyfit((np.arange(128) + 0.5) * 40 / 128, rows, 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.03)


def test_files_are_read_back_with_their_patients(tmp_path: Path) -> None:
    generate(tmp_path, 12, seed=3)
    cases = read_cases(load_catalogue()["phantom"], tmp_path)
    assert [(case.image.as_posix(), case.patient) for case in cases][-2:] == [
        ("malignant/p0009_v1.png", "p0009"),
        ("malignant/p0009_v2.png", "p0009"),
    ]
    scan = simulate(11, seed=3)
    np.testing.assert_array_equal(load_image(tmp_path / cases[-1].image), scan.image)
    np.testing.assert_array_equal(load_mask([tmp_path / path for path in cases[-1].masks]), scan.mask > 0)


def test_the_contact_sheet_is_drawn(tmp_path: Path) -> None:
    main(["--out", str(tmp_path / "sheet.png"), "--columns", "2"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (260, 568)
