"""Distances between the surfaces of prediction and target, exact, on any device and in any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dmf.checks import require, require_at_least
from dmf.metrics.counts import require_label_maps, require_same_shape

# Surface pixels handled at once, so that a volume of noise needs megabytes and not gigabytes.
_BLOCK = 1 << 15


def surface(mask: Bool[Tensor, "*spatial"]) -> Bool[Tensor, "*spatial"]:
    """Pixels of the mask with a neighbour outside it across a face (4 neighbours in 2D, 6 in 3D).

    Outside the image counts as outside the mask, so a mask cut off by the border has its surface there too. But an axis
    of one pixel has no border: a single slice, or an axis of channels that was left, is judged like the flat image.
    """
    inner = mask
    for axis in _extended(mask.shape):
        nothing = torch.zeros_like(mask.narrow(axis, 0, 1))
        padded = torch.cat([nothing, mask, nothing], dim=axis)
        size = mask.shape[axis]
        inner = inner & padded.narrow(axis, 0, size) & padded.narrow(axis, 2, size)
    return mask & ~inner


def _extended(shape: Sequence[int]) -> list[int]:
    """The axes of more than one pixel; of a single pixel, all."""
    return [axis for axis, size in enumerate(shape) if size > 1] or list(range(len(shape)))


def hausdorff(
    prediction: Int[Tensor, " B *spatial"],
    target: Int[Tensor, " B *spatial"],
    spacing: float | Sequence[float] = 1.0,
    *,
    percentile: float = 100.0,
    num_classes: int = 2,
) -> Float[Tensor, " B"]:
    """Hausdorff distance of each image between the surfaces of prediction and target, in the unit of `spacing`.

    `max(P(d(a, T) for a in A), P(d(t, A) for t in T))` with A and T the surface pixels of prediction and target (see
    `surface`), d the Euclidean distance from a pixel's centre to the nearest of the other surface's, and P the
    percentile within each of the two directions, linear between ranks. At 100 it is the Hausdorff distance, at 95 the
    HD95 that MONAI computes; other tools pool both directions or measure to interpolated contours and differ.

    Both masks empty: 0. One of them empty: the image's diagonal, `sqrt(Σ (pixels_i spacing_i)²)`, which is more than
    any two pixels can be apart, so that a missed lesion never improves a mean. (MONAI gives NaN and drops it.) An axis
    of one pixel counts for nothing.

    Args:
        prediction: class indices.
        target: class indices.
        spacing: size of a pixel, one number or one per spatial axis; arrays and tensors do.
        percentile: from 0 to 100.
        num_classes: with more than two, the mean over the classes 1 .. num_classes - 1 that are in either of the two.

    Raises:
        ValueError: for unequal shapes, for values that are no class indices 0 .. num_classes - 1, or a spacing that is
            not positive or not one per axis.

    >>> prediction, target = torch.tensor([[[1, 1, 0, 0, 1]]]), torch.tensor([[[1, 1, 0, 0, 0]]])
    >>> hausdorff(prediction, target, spacing=0.5).item()  # the stray pixel is 3 pixels from the next true one
    1.5
    """

    def score(there: Tensor, back: Tensor) -> Tensor:
        return torch.maximum(there.quantile(percentile / 100), back.quantile(percentile / 100))

    def diagonal(pixels: Sequence[int], sizes: Sequence[float]) -> float:
        return math.hypot(*(pixels[axis] * sizes[axis] for axis in _extended(pixels)))

    return _each(prediction, target, spacing, num_classes, score, both_empty=0.0, one_empty=diagonal)


def hd95(
    prediction: Int[Tensor, " B *spatial"],
    target: Int[Tensor, " B *spatial"],
    spacing: float | Sequence[float] = 1.0,
    *,
    num_classes: int = 2,
) -> Float[Tensor, " B"]:
    """The Hausdorff distance at the 95th percentile: see `hausdorff`.

    >>> prediction, target = torch.tensor([[[1, 1, 0, 0, 1]]]), torch.tensor([[[1, 1, 0, 0, 0]]])
    >>> round(hd95(prediction, target).item(), 4)  # of 0, 0 and 3: at rank 0.95 · 2, so 0.9 of the way from 0 to 3
    2.7
    """
    return hausdorff(prediction, target, spacing, percentile=95.0, num_classes=num_classes)


def surface_dice(
    prediction: Int[Tensor, " B *spatial"],
    target: Int[Tensor, " B *spatial"],
    spacing: float | Sequence[float] = 1.0,
    *,
    tolerance: float = 1.0,
    num_classes: int = 2,
) -> Float[Tensor, " B"]:
    """Share of both surfaces that lies within `tolerance` of the other, for each image (normalised surface Dice).

    `(|{a in A: d(a, T) <= tolerance}| + |{t in T: d(t, A) <= tolerance}|) / (|A| + |T|)`, with the surfaces and the
    distance of `hausdorff`; every surface pixel counts as one, whatever its area. Nikolov et al. (2018), as MONAI
    computes it without sub-voxel areas. Both masks empty: 1. One of them empty: 0.

    Args:
        prediction: as in `hausdorff`.
        target: as in `hausdorff`.
        spacing: as in `hausdorff`.
        tolerance: in the unit of `spacing`, at least 0.
        num_classes: as in `hausdorff`.

    Raises:
        ValueError: as `hausdorff`, and for a negative tolerance.

    >>> prediction, target = torch.tensor([[[1, 1, 0, 0, 1]]]), torch.tensor([[[1, 1, 0, 0, 0]]])
    >>> surface_dice(prediction, target).item()  # 2 of 3 and 2 of 2 pixels lie within 1 pixel
    0.8
    """
    require_at_least(0, tolerance=tolerance)

    def score(there: Tensor, back: Tensor) -> Tensor:
        # A distance equal to the tolerance counts, whichever way its last digit was rounded.
        return (torch.cat([there, back]) <= tolerance * (1 + 1e-9)).double().mean()

    return _each(prediction, target, spacing, num_classes, score, both_empty=1.0, one_empty=lambda pixels, sizes: 0.0)


def _each(
    prediction: Tensor,
    target: Tensor,
    spacing: float | Sequence[float],
    num_classes: int,
    score: Callable[[Tensor, Tensor], Tensor],
    *,
    both_empty: float,
    one_empty: Callable[[Sequence[int], Sequence[float]], float],
) -> Tensor:
    """Score each image and foreground class from its two sets of surface distances; mean over the classes in either.

    `one_empty` is asked with the pixels along each axis and their sizes.
    """
    require_at_least(2, num_classes=num_classes)
    require_same_shape(prediction, target)
    if target.ndim < 2:
        raise ValueError(f"Prediction and target need a spatial axis: (B, *spatial). Found {tuple(target.shape)}.")
    require_label_maps(prediction, target, num_classes)
    sizes = _per_axis(spacing, target)
    missed = one_empty(target.shape[1:], sizes)
    scores = torch.empty(len(target), num_classes - 1, dtype=torch.float64, device=target.device)
    for image, (predicted, true) in enumerate(zip(prediction, target, strict=True)):
        for label in range(1, num_classes):
            here, there = surface(predicted == label), surface(true == label)
            if here.any() and there.any():
                here, there = _crop(here, there)
                scores[image, label - 1] = score(_distances(here, there, sizes), _distances(there, here, sizes))
            else:
                scores[image, label - 1] = missed if here.any() or there.any() else math.nan
    means = scores.nanmean(1)
    return torch.where(means.isnan(), both_empty, means)


def _distances(start: Bool[Tensor, "*spatial"], goal: Bool[Tensor, "*spatial"], sizes: list[float]) -> Tensor:
    """Exact distance from each pixel of `start` to the nearest of `goal`, which is not empty.

    The squared distance is built up axis by axis (Felzenszwalb and Huttenlocher 2012, equation 2): along the first from
    the last and the next goal pixel, along the others by a minimum over the axis, and along the last one only where
    `start` asks for it.
    """
    positions = torch.arange(len(goal), dtype=torch.float64, device=goal.device).view(-1, *[1] * (goal.ndim - 1))
    last = positions.where(goal, -math.inf).cummax(0).values
    following = positions.where(goal, math.inf).flip(0).cummin(0).values.flip(0)
    squared = (torch.minimum(positions - last, following - positions) * sizes[0]).square()
    for axis in range(1, goal.ndim - 1):
        squared = _lower_envelope(squared, axis, sizes[axis])
    if goal.ndim == 1:
        return squared[start].sqrt()
    across = torch.arange(goal.shape[-1], device=goal.device)
    nearest = []
    for block in torch.split(start.nonzero(), _BLOCK):
        *rows, column = block.unbind(1)
        nearest.append((squared[tuple(rows)] + ((across - column[:, None]) * sizes[-1]).square()).amin(1))
    return torch.cat(nearest).sqrt()


def _lower_envelope(squared: Float[Tensor, "*spatial"], axis: int, size: float) -> Float[Tensor, "*spatial"]:
    """`min_j squared[j] + ((i - j) size)²` for every i along the axis."""
    shape = [-1 if axis == other else 1 for other in range(squared.ndim)]
    positions = torch.arange(squared.shape[axis], dtype=squared.dtype, device=squared.device).view(shape)
    lowest = torch.full_like(squared, math.inf)
    for j in range(squared.shape[axis]):
        torch.minimum(lowest, squared.narrow(axis, j, 1) + ((positions - j) * size).square(), out=lowest)
    return lowest


def _crop(*masks: Bool[Tensor, "*spatial"]) -> list[Bool[Tensor, "*spatial"]]:
    """The masks within the box around all of them; what lies outside cannot matter to a distance between them."""
    found = torch.stack(masks).any(0).nonzero()
    box = tuple(slice(int(low), int(high) + 1) for low, high in zip(found.amin(0), found.amax(0), strict=True))
    return [mask[box] for mask in masks]


def _per_axis(spacing: float | Sequence[float], target: Tensor) -> list[float]:
    axes = target.ndim - 1
    try:
        given = torch.as_tensor(spacing, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        given = torch.full((1,), math.nan)
    sizes: list[float] = given.expand(axes).tolist() if given.ndim == 0 else given.flatten().tolist()
    fits = given.ndim < 2 and len(sizes) == axes and all(0 < size < math.inf for size in sizes)
    require(fits, "spacing", spacing, f"one positive number, or {axes} of them")
    return sizes
