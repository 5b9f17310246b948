"""Deep supervision: logits at several scales, and what each is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from dmf.checks import require

Scale = tuple[float, Tensor, Tensor]


def scales_of(
    logits: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor], weights: Sequence[float] | None
) -> list[Scale]:
    """Weight, logits and labels of every scale; one of weight 1 if the logits are one tensor.

    Args:
        logits: `(B, C, *spatial)`, or several of them, that of full resolution first.
        target: Labels; of several logits as many, or those of the first, which are then taken at the nearest pixels.
        weights: Of the scales, divided by their sum; None halves them from scale to scale.

    Raises:
        ValueError: for numbers of logits, targets and weights that differ.

    >>> import torch
    >>> logits = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2)]
    >>> [(round(weight, 2), tuple(labels.shape)) for weight, _, labels in scales_of(logits, torch.zeros(1, 4, 4), None)]
    [(0.67, (1, 4, 4)), (0.33, (1, 2, 2))]
    """
    if not isinstance(logits, list | tuple):
        return [(1.0, logits, target)]  # type: ignore[list-item]
    expected = f"one for each of the {len(logits)} scales of `logits`"
    if weights is None:
        weights = [2.0**-scale for scale in range(len(logits))]
    total = sum(weights)
    fits = len(weights) == len(logits) and min(weights, default=0) >= 0 < total
    require(fits, "scale_weights", list(weights), f"{expected}, at least 0 and not all 0")
    labels = [_at_size_of(one, target) for one in logits] if isinstance(target, Tensor) else list(target)
    require(len(labels) == len(logits), "target", f"{len(labels)} tensors", f"one tensor, or {expected}")
    return [(weight / total, *pair) for weight, *pair in zip(weights, logits, labels, strict=True) if weight]


def _at_size_of(logits: Tensor, target: Tensor) -> Tensor:
    """Labels at the nearest pixels of another resolution."""
    plain = target.ndim < logits.ndim
    if target.shape[1 if plain else 2 :] == logits.shape[2:]:
        return target
    image = target.unsqueeze(1) if plain else target
    nearest = F.interpolate(image.double(), size=logits.shape[2:], mode="nearest-exact").to(target.dtype)
    return nearest.squeeze(1) if plain else nearest
