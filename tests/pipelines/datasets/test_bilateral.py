"""The bilateral filter against its equations, and resizing against values worked by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.images import as_channels, as_picture, resize_image, resize_mask
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.params import FilterParams


def by_the_equations(image: np.ndarray, params: FilterParams) -> np.ndarray:
    """(26) and (27), pixel by pixel in float64: the sum over a disc, reflected at the border."""
    radius = params.diameter // 2
    reflected = [(radius, radius), (radius, radius), (0, 0)]
    padded = np.pad(np.atleast_3d(image).astype(float), reflected, mode="reflect")
    result = np.empty_like(np.atleast_3d(image), dtype=float)
    for y, x in np.ndindex(image.shape[:2]):
        centre = padded[y + radius, x + radius]
        total, norm = np.zeros_like(centre), 0.0
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if dy**2 + dx**2 > radius**2:
                    continue
                value = padded[y + radius + dy, x + radius + dx]
                near = np.exp(-(dy**2 + dx**2) / (2 * params.sigma_space**2))
                alike = np.exp(-(np.abs(value - centre).sum() ** 2) / (2 * params.sigma_range**2))
                total, norm = total + value * near * alike, norm + near * alike
        result[y, x] = total / norm
    return result.reshape(image.shape)


def speckled(*shape: int) -> np.ndarray:
    random = np.random.default_rng(0)
    step = np.where(np.arange(shape[1]) < shape[1] // 2, 60, 170).reshape(1, -1, *[1] * (len(shape) - 2))
    return np.clip(step + random.normal(0, 15, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(20, 23), (20, 23, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize(
    ("diameter", "sigma_space", "sigma_range"), [(3, 1.0, 10.0), (5, 2.0, 40.0), (7, 2.0, 30.0), (9, 3.0, 25.0)]
)
def test_agrees_with_the_equations(
    shape: tuple[int, ...], diameter: int, sigma_space: float, sigma_range: float
) -> None:
    """Before rounding OpenCV agrees to 0.001 grey levels, so at most the last place of a tie can differ."""
    image = speckled(*shape)
    params = FilterParams(diameter=diameter, sigma_space=sigma_space, sigma_range=sigma_range)
    exact = by_the_equations(image, params)
    smooth = cv2.bilateralFilter(image.astype(np.float32), diameter, sigma_range, sigma_space)
    np.testing.assert_allclose(smooth, exact, atol=1e-3)
    clear = np.abs(exact % 1 - 0.5) > 1e-3
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(bilateral(image, params)[clear], np.rint(exact)[clear])


def test_smooths_speckle_and_keeps_the_edge() -> None:
    image = speckled(64, 64)
    smooth = bilateral(image, FilterParams()).astype(float)
    left, right = (slice(None), slice(4, 26)), (slice(None), slice(38, 60))
    for side in (left, right):
        assert smooth[side].std() < image[side].std() / 2.5
    assert smooth[:, 33].mean() - smooth[:, 30].mean() > 100


@settings(max_examples=25)
@given(st.integers(0, 255))
def test_a_flat_image_stays_as_it_is(grey: int) -> None:
    flat = np.full((12, 17), grey, dtype=np.uint8)
    np.testing.assert_array_equal(bilateral(flat, FilterParams()), flat)


def test_shrinking_averages_over_area() -> None:
    """4x4 to 2x2: each pixel is the mean of its block; also for an image that is not square."""
    image = np.array([[0, 40, 8, 8], [80, 120, 8, 8], [1, 1, 200, 0], [1, 1, 0, 200]], dtype=np.uint8)
    np.testing.assert_array_equal(resize_image(image, 2), [[60, 8], [1, 100]])
    wide = np.repeat(np.array([[10, 30, 50, 70]], dtype=np.uint8), 2, axis=0)
    np.testing.assert_array_equal(resize_image(wide, 2), [[20, 60], [20, 60]])


def test_enlarging_interpolates() -> None:
    large = resize_image(np.array([[0, 100], [0, 100]], dtype=np.uint8), 8)
    assert (np.diff(large[0].astype(int)) >= 0).all()
    assert len(np.unique(large)) > 2


@given(st.integers(8, 200), st.integers(8, 200), st.integers(8, 64))
def test_masks_keep_their_classes_and_their_place(height: int, width: int, size: int) -> None:
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, width // 2 :] = 7
    mask[height // 2 :] = 3
    small = resize_mask(mask, size)
    assert set(np.unique(small)) <= {0, 3, 7}
    boundary = np.argmax(small[:, 0] == 3)
    assert abs(boundary - (height // 2) * size / height) <= 0.51 * max(1, size / height)


def test_a_mask_is_not_shifted_against_its_image() -> None:
    """The centre of a disc, in image and mask after resizing both: 1/8 pixel apart, where INTER_NEAREST has 3/8."""
    disc = cv2.circle(np.zeros((200, 256), dtype=np.uint8), (128, 100), 60, 255, -1)
    image, mask = resize_image(disc, 64) / 255.0, resize_mask(disc, 64) / 255.0
    rows, columns = np.mgrid[:64, :64]
    for axis in (rows, columns):
        assert abs((axis * image).sum() / image.sum() - (axis * mask).sum() / mask.sum()) < 0.15


def test_channels() -> None:
    grey, colour = np.full((4, 5), 9, dtype=np.uint8), np.zeros((4, 5, 3), dtype=np.uint8)
    colour[..., 0] = 255
    np.testing.assert_array_equal(as_channels(grey, 1), grey)
    assert as_channels(colour, 3) is colour
    assert as_channels(grey, 3).tolist() == [[[9] * 3] * 5] * 4
    assert as_channels(colour, 1).tolist() == [[76] * 5] * 4  # the luma of red, 0.299 * 255


def test_modalities_are_kept_or_averaged() -> None:
    four = np.stack([np.full((2, 3), value, np.uint8) for value in (10, 20, 30, 43)], axis=-1)
    assert as_channels(four, 4) is four
    assert as_channels(four, 1).tolist() == [[26] * 3] * 2  # 25.75
    assert as_channels(four[..., :1], 1).tolist() == [[10] * 3] * 2
    with pytest.raises(ValueError, match=r"expected an image of 1 or 3 channels\. Found 4"):
        as_channels(four, 3)


def test_a_patch_is_looked_at_in_its_middle_slice() -> None:
    patch = np.zeros((5, 2, 3, 2), np.uint8)
    patch[2] = (10, 30)
    assert as_picture(patch).tolist() == [[20] * 3] * 2
