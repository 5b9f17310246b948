"""Distances between surfaces: hand-worked shapes, MONAI, and a brute-force oracle."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmf.metrics import hausdorff, hd95, surface_dice
from dmf.metrics.surface import surface

ndimage, distance = pytest.importorskip("scipy.ndimage"), pytest.importorskip("scipy.spatial.distance")


def square(top: int, left: int, side: int, size: int = 32) -> torch.Tensor:
    mask = torch.zeros(1, size, size, dtype=torch.int64)
    mask[:, top : top + side, left : left + side] = 1
    return mask


def blobs(seed: int, *shape: int, density: float = 0.3) -> torch.Tensor:
    return (torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed)) < density).long()


def surface_distances(mask: torch.Tensor, other: torch.Tensor, spacing: tuple[float, ...]) -> list[np.ndarray]:
    """Every distance from each surface to the other, from all pairs of points."""
    images = [image[0].numpy() == 1 for image in (mask, other)]
    pairs = distance.cdist(*(np.argwhere(image & ~ndimage.binary_erosion(image)) * spacing for image in images))
    return [pairs.min(1), pairs.min(0)]


small_blobs = st.builds(
    lambda seed, density: blobs(seed, 9, 12, density=density), st.integers(0, 2**31), st.floats(0, 1)
)

# --- hand-worked shapes ---


def test_the_surface_is_the_rim_that_touches_the_outside_across_a_face() -> None:
    mask = torch.tensor([[0, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]]).bool()
    rim = [[0, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 1, 1, 1, 1]]
    assert surface(mask).int().tolist() == rim


def test_the_distance_of_two_points_is_the_euclidean_one() -> None:
    assert hausdorff(square(2, 3, 1), square(6, 6, 1)).item() == 5
    assert hausdorff(square(2, 3, 1), square(6, 6, 1), spacing=(0.5, 2.0)).item() == math.hypot(2, 6)


def test_a_square_moved_sideways() -> None:
    """Its far edge is 3 away from the other's; the edges across lie up to 3 away, and one in six pixels lies at 3."""
    a, b = square(8, 8, 6), square(8, 11, 6)
    assert hausdorff(a, b).item() == 3
    assert surface_dice(a, b, tolerance=3).item() == 1
    # Rows 8 and 13 overlap in three of six columns each; with 20 pixels a rim, 14 of 20 lie within 2 of the other rim.
    there, back = surface_distances(a, b, (1, 1))
    assert surface_dice(a, b, tolerance=2).item() == ((there <= 2).sum() + (back <= 2).sum()) / 40 == 14 / 20


def test_one_stray_pixel_moves_the_hausdorff_distance_but_not_hd95() -> None:
    target = square(4, 4, 12)
    prediction = target.clone()
    prediction[0, 31, 31] = 1
    assert hausdorff(prediction, target).item() == math.hypot(16, 16)
    assert hd95(prediction, target).item() == 0  # 1 of 45 surface pixels: beyond the 95th percentile


def test_hd95_is_the_larger_of_the_two_directions() -> None:
    """A point against a line of 11: no point of one is far from the line, half of the line is far from the point."""
    point, line = square(0, 0, 1), torch.zeros(1, 32, 32, dtype=torch.int64)
    line[0, 0, :11] = 1
    assert hd95(point, line).item() == pytest.approx(np.percentile(np.arange(11), 95))
    assert hd95(line, point).item() == hd95(point, line).item()


def test_several_classes_are_averaged() -> None:
    target, prediction = torch.zeros(2, 1, 8, 8, dtype=torch.int64)
    target[0, 0, 0], target[0, 7, 7] = 1, 2
    prediction[0, 0, 4], prediction[0, 7, 5] = 1, 2
    assert hd95(prediction, target, num_classes=3).item() == (4 + 2) / 2


# --- empty masks ---


def test_both_empty_is_perfect_and_one_empty_is_worse_than_anything_found() -> None:
    nothing, something = torch.zeros(1, 30, 40, dtype=torch.int64), blobs(0, 30, 40)
    assert hd95(nothing, nothing).item() == 0
    assert surface_dice(nothing, nothing).item() == 1
    for pair in ((nothing, something), (something, nothing)):
        assert hd95(*pair).item() == 50
        assert hd95(*pair, spacing=(0.1, 0.2)).item() == pytest.approx(math.hypot(3, 8))
        assert surface_dice(*pair).item() == 0


def test_a_class_in_neither_is_absent_from_the_mean_of_the_others() -> None:
    a, b = square(2, 3, 1), square(6, 6, 1)
    assert hd95(a, b, num_classes=3).item() == hd95(a, b).item() == 5
    assert surface_dice(a, b, num_classes=3).item() == surface_dice(a, b).item() == 0
    nothing = torch.zeros_like(a)
    assert hd95(nothing, nothing, num_classes=3).item() == 0
    assert surface_dice(nothing, nothing, num_classes=3).item() == 1


# --- properties ---


@settings(deadline=None)
@given(a=small_blobs, b=small_blobs)
def test_distances_are_symmetric_bounded_and_zero_for_equal_masks(a: torch.Tensor, b: torch.Tensor) -> None:
    assert hd95(a, a).item() == hausdorff(a, a).item() == 0
    assert surface_dice(a, a).item() == 1
    assert hd95(a, b).item() == hd95(b, a).item()
    assert surface_dice(a, b).item() == surface_dice(b, a).item()
    assert hd95(a, b).item() <= hausdorff(a, b).item() <= 15
    assert 0 <= surface_dice(a, b, tolerance=0).item() <= surface_dice(a, b, tolerance=2).item() <= 1


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), volume=st.booleans(), stretch=st.floats(0.1, 10))
def test_it_equals_brute_force_over_all_pairs_of_surface_points(seed: int, volume: bool, stretch: float) -> None:
    shape, spacing = ((5, 6, 7), (1.0, stretch, 0.5)) if volume else ((9, 12), (stretch, 1.0))
    a, b = blobs(seed, *shape), blobs(seed + 1, *shape)
    there, back = surface_distances(a, b, spacing)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hd95(a, b, spacing).item() == pytest.approx(expected)
    expected = np.mean(np.concatenate([there, back]) <= 1.1 + 1e-9)
    assert surface_dice(a, b, spacing, tolerance=1.1).item() == pytest.approx(expected)


def test_a_line_is_an_image_of_one_dimension() -> None:
    a, b = torch.tensor([[1, 1, 0, 0, 0, 0]]), torch.tensor([[0, 0, 0, 0, 1, 0]])
    assert hausdorff(a, b).item() == 4


def test_every_image_of_a_batch_is_judged_alone() -> None:
    a, b = torch.cat([square(2, 3, 1), square(4, 4, 6)]), torch.cat([square(6, 6, 1), square(4, 5, 6)])
    assert hd95(a, b).tolist() == [5, 1]


# --- agreement with MONAI, where the definitions coincide ---


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("shape", "spacing"), [((24, 31), (1.0, 1.0)), ((24, 31), (0.7, 1.3)), ((8, 9, 10), (3, 1, 1))]
)
def test_it_agrees_with_monai(seed: int, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    monai = pytest.importorskip("monai.metrics")
    a, b = blobs(seed, *shape, density=0.2), blobs(seed + 100, *shape, density=0.1)
    hot = [torch.nn.functional.one_hot(mask, 2).movedim(-1, 1) for mask in (a, b)]
    expected = monai.compute_hausdorff_distance(*hot, percentile=95, spacing=spacing)
    assert hd95(a, b, spacing).item() == pytest.approx(expected.item(), rel=1e-5)
    expected = monai.compute_surface_dice(*hot, class_thresholds=[1.5], spacing=spacing)
    assert surface_dice(a, b, spacing, tolerance=1.5).item() == pytest.approx(expected.item(), rel=1e-5)


# --- what is refused ---


@pytest.mark.parametrize("measure", [hd95, surface_dice])
@pytest.mark.parametrize("spacing", [0.0, -1.0, (1.0,), (1.0, 0.0), (1.0, 1.0, 1.0)])
def test_a_spacing_that_makes_no_sense_is_refused(measure: Callable[..., torch.Tensor], spacing: object) -> None:
    with pytest.raises(ValueError, match=r"`spacing` must be one positive number, or 2 of them"):
        measure(square(0, 0, 1), square(0, 0, 1), spacing)


def test_shapes_and_tolerances_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Found \(1, 32, 32\) and \(1, 16, 16\)"):
        hd95(square(0, 0, 1), square(0, 0, 1, size=16))
    with pytest.raises(ValueError, match=r"need a spatial axis"):
        hd95(torch.ones(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"`tolerance` must be at least 0\. Found -1"):
        surface_dice(square(0, 0, 1), square(0, 0, 1), tolerance=-1)


# --- what is no label map ---


def points(first: tuple[int, int], second: tuple[int, int], value: float, dtype: torch.dtype) -> list[torch.Tensor]:
    masks = [torch.zeros(1, 8, 8, dtype=dtype), torch.zeros(1, 8, 8, dtype=dtype)]
    for mask, (row, column) in zip(masks, (first, second), strict=True):
        mask[0, row, column] = value
    return masks


@pytest.mark.parametrize("measure", [hausdorff, hd95, surface_dice])
@pytest.mark.parametrize(
    ("value", "dtype", "named"),
    [
        (255, torch.uint8, "255"),
        (2, torch.int64, "2"),
        (-1, torch.int64, "-1"),
        (0.5, torch.float32, "0.5"),
        (math.nan, torch.float32, "nan"),
    ],
)
def test_values_that_are_no_class_are_refused_by_name(
    measure: Callable[..., torch.Tensor], value: float, dtype: torch.dtype, named: str
) -> None:
    """Masks of 0 and 255 were two empty ones: distance 0, surface Dice 1."""
    with pytest.raises(ValueError, match=rf"prediction must hold class indices .* Found 1 pixels .*, {named} among"):
        measure(*points((1, 1), (6, 6), value, dtype))
    good, odd = points((1, 1), (6, 6), 1, torch.int64)[0], points((1, 1), (6, 6), value, dtype)[1]
    with pytest.raises(ValueError, match=rf"target must hold class indices .* Found 1 pixels .*, {named} among"):
        measure(good, odd)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_a_label_map_may_be_of_any_type(dtype: torch.dtype) -> None:
    assert hausdorff(*points((1, 1), (4, 5), 1, dtype)).item() == 5


@pytest.mark.parametrize("measure", [hausdorff, hd95, surface_dice])
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 8, 1, 8), (1, 8, 8, 1), (1, 1, 1, 8, 8)])
def test_an_axis_of_one_pixel_changes_nothing(measure: Callable[..., torch.Tensor], shape: tuple[int, ...]) -> None:
    """With a surface across it, all of a mask would be surface: surface Dice 0.83 for the 0.6 of the flat image."""
    one, other = square(0, 0, 6, size=8), torch.zeros(1, 8, 8, dtype=torch.int64)
    other[0, 0:6, 2:8] = 1
    flat = measure(one, other)
    assert torch.equal(measure(one.view(shape), other.view(shape)), flat)
    nothing = torch.zeros_like(one)
    assert torch.equal(measure(one.view(shape), nothing.view(shape)), measure(one, nothing))
    assert surface_dice(one, other).item() == pytest.approx(0.6)


def test_a_single_pixel_is_found_or_missed() -> None:
    one, nothing = torch.ones(1, 1, 1, dtype=torch.int64), torch.zeros(1, 1, 1, dtype=torch.int64)
    assert (hausdorff(one, one).item(), surface_dice(one, one).item()) == (0, 1)
    assert (hausdorff(one, nothing).item(), surface_dice(one, nothing).item()) == (math.sqrt(2), 0)


@pytest.mark.parametrize(
    "spacing",
    [
        np.float32(0.5),
        np.full(2, 0.5, np.float32),
        torch.tensor(0.5),
        torch.full((2,), 0.5),
        [np.float32(0.5), 0.5],
        0.5,
    ],
    ids=lambda spacing: type(spacing).__name__,
)
def test_a_spacing_may_be_of_any_type(spacing: object) -> None:
    assert hausdorff(square(2, 3, 1), square(6, 6, 1), spacing).item() == 2.5  # type: ignore[arg-type]


@pytest.mark.parametrize("spacing", ["1", None, math.nan, math.inf, np.ones((2, 2)), [[1.0, 1.0]]])
def test_a_spacing_that_is_none_is_refused(spacing: object) -> None:
    with pytest.raises(ValueError, match=r"`spacing` must be one positive number, or 2 of them"):
        hd95(square(0, 0, 1), square(0, 0, 1), spacing)  # type: ignore[arg-type]


def test_a_single_class_has_no_surface() -> None:
    with pytest.raises(ValueError, match=r"`num_classes` must be at least 2"):
        hd95(square(0, 0, 1), square(0, 0, 1), num_classes=1)
