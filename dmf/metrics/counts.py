"""Confusion counts: all that the overlap metrics need to know about a prediction."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, Num
from torch import Tensor

from dmf.checks import require_tensor
from dmf.targets import Task, class_map, form_of, holds, ignorable, plain_integers

# Positions in the last dimension of the counts.
TP, FP, FN, TN = range(4)


def confusion_counts(
    prediction: Int[Tensor, " B *spatial"],
    target: Int[Tensor, " B *spatial"],
    num_classes: int,
    *,
    ignore_index: int | None = None,
) -> Int[Tensor, " B C 4"]:
    """Pixels per image and class that are true positive, false positive, false negative and true negative.

    Each class is judged against all others. In classification, prediction and target have shape (B,): an image is one
    pixel. Works on any device without waiting for it; for the same reason class indices outside 0 .. num_classes - 1
    are found here on the CPU only, elsewhere by what reads the counts (`summarise`, `per_image`).

    Args:
        prediction: predicted class indices, for example `logits.argmax(1)`.
        target: true class indices, with an axis of one channel or without, or one-hot `(B, C, *spatial)`.
        num_classes: C, background included.
        ignore_index: pixels where the target has this value count nowhere.

    Returns:
        int64 counts of shape (B, C, 4) in the order tp, fp, fn, tn; the four add up to the pixels of the image.

    Raises:
        ValueError: if the shapes differ, and on the CPU for what is no class index.

    >>> prediction, target = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, 1, 0, 1]])
    >>> confusion_counts(prediction, target, 2)[0, 1].tolist()  # of class 1: tp, fp, fn, tn
    [1, 1, 1, 1]
    """
    if isinstance(target, Tensor):
        ignore_index = ignorable(ignore_index, target)
    if isinstance(prediction, Tensor) and isinstance(target, Tensor) and target.ndim == prediction.ndim + 1:
        form = form_of(target, prediction.shape, num_classes)
        target = class_map(target, form, Task(num_classes, ignore_index))
    require_same_shape(prediction, target)
    prediction, target = wide_enough(prediction, num_classes), wide_enough(target, num_classes)
    if target.device.type == "cpu" and type(target) is Tensor and target.numel():
        judged = slice(None) if ignore_index is None else target != ignore_index
        require_label_maps(prediction[judged], target[judged], num_classes)
    prediction, target = prediction.reshape(len(prediction), -1), target.reshape(len(target), -1)
    valid = None if ignore_index is None else target != ignore_index
    pixels = target.shape[1] if valid is None else _number(valid)
    counts = []
    for label in range(num_classes):
        predicted, true = prediction == label, target == label
        if valid is not None:
            predicted, true = predicted & valid, true & valid
        tp = _number(predicted & true)
        fp, fn = _number(predicted) - tp, _number(true) - tp
        counts.append(torch.stack([tp, fp, fn, pixels - tp - fp - fn], dim=1))
    return torch.stack(counts, dim=1)


def wide_enough(labels: Tensor, num_classes: int) -> Tensor:
    """Labels in a type that can be compared with every class."""
    labels = plain_integers(labels)
    return labels if holds(labels.dtype, num_classes - 1) else labels.long()


def _number(mask: Tensor) -> Tensor:
    # Summed as int32, which on a CPU is seven times as fast as the default int64; no image has 2**31 pixels.
    return mask.sum(1, dtype=torch.int32).long()


def confusion_matrix(
    prediction: Int[Tensor, " B *spatial"],
    target: Int[Tensor, " B *spatial"],
    num_classes: int,
    *,
    ignore_index: int | None = None,
) -> Int[Tensor, "C C"]:
    """How often class i (row, true) was predicted as class j (column), over all pixels; waits for the device.

    Raises:
        ValueError: if the shapes differ, and for a class index outside 0 .. num_classes - 1.

    >>> confusion_matrix(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2]), 3).tolist()  # a 1 was taken for a 2
    [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    """
    require_same_shape(prediction, target)
    prediction, target = plain_integers(prediction), plain_integers(target)
    ignore_index = ignorable(ignore_index, target)
    if ignore_index is not None:
        kept = target != ignore_index
        prediction, target = prediction[kept], target[kept]
    require_label_maps(prediction, target, num_classes)
    cells = (target.long() * num_classes + prediction.long()).flatten()
    matrix = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=cells.device)
    return matrix.scatter_add_(0, cells, torch.ones_like(cells)).view(num_classes, num_classes)


def require_same_shape(prediction: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless both are tensors of one shape."""
    for name, found in (("prediction", prediction), ("target", target)):
        require_tensor(name, found, "a tensor of class indices (B, *spatial)")
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction and target must have the same shape (B, *spatial). Found {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}; reduce logits with `logits.argmax(1)` first."
        )


def require_label_maps(prediction: Tensor, target: Tensor, num_classes: int) -> None:
    """Raise a ValueError unless both hold class indices 0 .. num_classes - 1 and nothing else; waits for the device."""
    for side, found in (("prediction", prediction), ("target", target)):
        if not found.is_floating_point() and found.numel():
            least, most = found.aminmax()
            if least >= 0 and most < num_classes:
                continue
        stray = (found != found.long()) | (found < 0) | (found >= num_classes)
        if number := int(stray.sum()):
            raise _no_label_map(side, num_classes, number, f", {found[stray][0].item():g} among them")


def judged(counts: Int[Tensor, "B C 4"]) -> Bool[Tensor, " B"]:
    """Which images have a pixel that counts."""
    return counts.flatten(1).any(1)


def require_complete(counts: Num[Tensor, "*batch C 4"]) -> None:
    """Raise a ValueError unless counts are of label maps; waits for the device.

    Every pixel of those has one predicted and one true class, so over the classes each adds up to the pixels.
    """
    if counts.ndim < 2 or counts.shape[-1] != 4 or counts.shape[-2] < 2:
        raise ValueError(
            "Counts must come from `confusion_counts` and have shape (B, C, 4) with two classes or more. "
            f"Found shape {tuple(counts.shape)}."
        )
    pixels = counts[..., 0, :].sum(-1)
    for side, error in (("prediction", FP), ("target", FN)):
        strays = (pixels - (counts[..., TP] + counts[..., error]).sum(-1)).sum().item()
        if strays:
            raise _no_label_map(side, counts.shape[-2], int(strays))


def _no_label_map(side: str, num_classes: int, strays: int, example: str = "") -> ValueError:
    return ValueError(
        f"The {side} must hold class indices from 0 to {num_classes - 1}. Found {strays} pixels with others{example}; "
        "divide masks of 0 and 255 by 255, reduce probabilities with `argmax`, or name an odd value as `ignore_index`."
    )
