"""The two indices by hand and against scipy, and the page about a data set."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipelines.artifacts import arrays
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.params import FilterParams, Params
from pipelines.filter.page import measure, write_page
from pipelines.filter.prepare import prepare
from pipelines.filter.quality import edge_preservation_index, speckle_suppression_index
from tests.support.audited import audit_and_split
from tests.support.pictures import texture

BUSI = load_catalogue()["busi"]


def checks(low: int, high: int, side: int = 32) -> np.ndarray:
    """A chessboard: its deviation is (high - low) / 2, its mean (high + low) / 2, in every square."""
    return np.where(np.indices((side, side)).sum(axis=0) % 2, high, low).astype(np.uint8)


def test_half_the_deviation_around_the_same_mean_is_half_the_speckle() -> None:
    assert speckle_suppression_index(checks(80, 120), checks(90, 110)) == pytest.approx(0.5)
    assert speckle_suppression_index(checks(80, 120), checks(40, 60)) == pytest.approx(1)  # darker is not smoother
    assert speckle_suppression_index(checks(80, 120), checks(100, 100)) == pytest.approx(0, abs=1e-9)


def test_a_slope_of_brightness_is_no_speckle() -> None:
    slope = (np.arange(32)[:, None] * 3 + np.arange(32)).astype(np.uint8)
    before, after = (slope + image for image in (checks(10, 30), checks(15, 25)))
    assert speckle_suppression_index(before, after) == pytest.approx(0.5)
    assert math.isnan(speckle_suppression_index(slope, slope))


def test_speckle_is_measured_where_the_original_varies_least() -> None:
    """Four squares: in the calmest the deviation falls from 2 to 1; what happens in the others does not count."""
    before = np.block([[checks(98, 102, 16), checks(50, 150, 16)], [checks(20, 180, 16), checks(0, 200, 16)]])
    after = np.block([[checks(99, 101, 16), checks(100, 100, 16)], [checks(20, 180, 16), checks(90, 110, 16)]])
    assert speckle_suppression_index(before, after) == pytest.approx(0.5)


@pytest.mark.parametrize("grey", [0, 90])
def test_an_image_without_structure_has_no_index(grey: int) -> None:
    flat = np.full((40, 40), grey, np.uint8)
    assert math.isnan(speckle_suppression_index(flat, flat))
    assert math.isnan(edge_preservation_index(flat, flat))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(17, 70), st.integers(17, 70))
def test_edges_are_correlated_as_numpy_and_scipy_say(seed: int, height: int, width: int) -> None:
    before = texture(seed, height, width)
    after = bilateral(before, FilterParams())
    laplacians = [ndimage.laplace(image.astype(float), mode="reflect").ravel() for image in (before, after)]
    assert edge_preservation_index(before, after) == pytest.approx(np.corrcoef(laplacians)[0, 1], abs=1e-9)


def test_doing_nothing_leaves_everything_and_more_filtering_leaves_less() -> None:
    image = texture(0, 96, 96)
    found = [(1.0, 1.0)]
    assert speckle_suppression_index(image, image) == 1
    assert edge_preservation_index(image, image) == pytest.approx(1)
    for sigma in (10.0, 25.0, 60.0):
        smooth = bilateral(image, FilterParams(sigma_range=sigma))
        found.append((speckle_suppression_index(image, smooth), edge_preservation_index(image, smooth)))
    assert found == sorted(found, reverse=True)


def test_at_the_same_suppression_the_bilateral_filter_keeps_more_of_an_edge_than_a_gaussian() -> None:
    """Against the picture without noise, as the index was meant."""
    random = np.random.default_rng(0)
    clean = np.where(np.indices((96, 96))[1] < 60, 70, 170).astype(np.uint8)
    noisy = np.clip(clean + random.normal(0, 8, clean.shape), 0, 255).astype(np.uint8)
    ours = bilateral(noisy, FilterParams())
    gaussian = cv2.GaussianBlur(noisy, (0, 0), 1.5)
    assert speckle_suppression_index(noisy, ours) == pytest.approx(speckle_suppression_index(noisy, gaussian), abs=0.1)
    assert edge_preservation_index(clean, ours) > 1.5 * edge_preservation_index(clean, gaussian)


def test_the_page_has_three_images_from_strong_to_weak_suppression(workplace: Path, tmp_path: Path) -> None:
    root = workplace / "data"
    audit_and_split(root, BUSI)
    prepare(BUSI.model_copy(update={"title": "Breasts <&>"}), root, 64, Params(study="a"))
    data = arrays.load(root, "busi", 64)
    quality = write_page(data, tmp_path / "pages")
    folder = tmp_path / "pages"
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "quality.json", "quality.md", "examples.png", "examples.pdf",
    }  # fmt: skip
    assert quality == measure(data)
    assert (quality.images, quality.measured, quality.size) == (22, 22, (64, 64))
    ssi = [
        speckle_suppression_index(before[0], after[0]) for before, after in zip(data.images, data.filtered, strict=True)
    ]
    assert quality.ssi == tuple(pytest.approx(value, abs=1e-4) for value in np.percentile(ssi, (5, 25, 50, 75, 95)))
    assert [example.row for example in quality.examples] == [int(np.argsort(ssi)[place]) for place in (3, 11, 18)]
    assert all(data.cases["image"][example.row] == example.image for example in quality.examples)

    assert json.loads((folder / "quality.json").read_text())["measured"] == 22
    page = (folder / "index.html").read_text()
    assert "Breasts &lt;&amp;&gt;" in page
    assert f"{100 * quality.ssi[2]:.0f} % of the speckle in homogeneous tissue is left" in page
    assert "![Before, after" in (folder / "quality.md").read_text()

    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_page(data, tmp_path / "pages")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
