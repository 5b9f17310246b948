"""Overlap of probabilities with masks, as the authors of the Adaptive Focal Loss report it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from dmf.metrics.counts import wide_enough
from dmf.targets import ignorable

SOFT = "soft"
"""The name of the protocol, which no counts give."""

# Positions in the last dimension of the sums.
COMMON, SQUARES, TRUE = range(3)


def soft_sums(
    logits: Float[Tensor, "B C *spatial"],
    target: Int[Tensor, " B *spatial"] | UInt8[Tensor, " B *spatial"],
    *,
    ignore_index: int | None = None,
) -> Float[Tensor, "B C 3"]:
    """`Σ p y`, `Σ p²` and `Σ y²` of each image and class, over its pixels: all that soft Dice and IoU need to know.

    `p = sigmoid(z)` of each channel by itself, y its one-hot label. Nothing waits for the device, and no map of
    probabilities is kept.

    Args:
        logits: one channel a class, background included.
        target: class indices.
        ignore_index: pixels where the target has this value count nowhere.

    Returns:
        Float64.

    >>> target = torch.tensor([[[0, 0], [0, 1]]])  # an undecided network says 0.5 of every pixel and class
    >>> soft_sums(torch.zeros(1, 2, 2, 2), target).tolist()
    [[[1.5, 1.0, 3.0], [0.5, 1.0, 1.0]]]
    """
    probabilities = logits.float().sigmoid().flatten(2)
    target = wide_enough(target.flatten(1), logits.shape[1])
    if (ignore_index := ignorable(ignore_index, target)) is not None:
        probabilities = probabilities * (target != ignore_index).unsqueeze(1)
    sums = []
    for label in range(logits.shape[1]):
        p, true = probabilities[:, label], target == label
        values = ((p * true).sum(1), p.square().sum(1), true.sum(1))
        sums.append(torch.stack([value.double() for value in values], dim=1))
    return torch.stack(sums, dim=1)


def summarise_soft(sums: Float[Tensor, "B C 3"]) -> dict[str, float]:
    """The protocol `soft`: Dice `2 Σ p y / (Σ p² + Σ y²)` and IoU `Σ p y / (Σ p² + Σ y² - Σ p y)` of probabilities.

    Of each class the mean over the images that hold it; then the mean over classes, *background included*. For volumes
    that all hold a lesion, one to a batch, it is the authors' number. Where slices or patches hold none, theirs would
    count 0 for however little probability there is; here such an image tells of the background alone, and one without
    a pixel to judge of nothing.

    Args:
        sums: from `soft_sums`, all images concatenated.

    Returns:
        `dice` and `iou` in [0, 1], and `images`, the number of those with a pixel to judge.

    Source: Islam et al., arXiv 2407.09828, by what their code does (sigmoid of each channel, squared denominator); the
    paper names it Dice and IoU.

    >>> sums = torch.tensor([[[1.5, 1.0, 3.0], [0.5, 1.0, 1.0]]])  # Dice 2 (1.5) / 4 and 2 (0.5) / 2, their mean
    >>> summarise_soft(sums)["dice"]
    0.625
    """
    common, both = sums[..., COMMON], sums[..., SQUARES] + sums[..., TRUE]
    there = sums[..., TRUE] > 0
    scores = {"dice": 2 * common / both, "iou": common / (both - common)}
    means = {
        name: torch.where(there, values, 0.0).sum(0)[there.any(0)] / there.sum(0)[there.any(0)]
        for name, values in scores.items()
    }
    judged = {"images": float(there.any(1).sum())}
    return {name: float(values.mean()) for name, values in means.items()} | judged
