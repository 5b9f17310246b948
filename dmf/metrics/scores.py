"""Overlap metrics of one set of confusion counts: an image's, or those pooled over many."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from dmf.metrics.counts import FN, FP, TP, require_complete

Scores = dict[str, Tensor]

# The overlap metrics that every protocol reports, as fractions in [0, 1].
METRICS = ("dice", "iou", "f1", "precision", "recall", "sensitivity", "specificity", "accuracy", "cb_dice")


def class_scores(counts: Num[Tensor, "*batch C 4"]) -> Scores:
    """The metrics of each class against all others, with the rules for empty masks.

    Dice `2 tp / (2 tp + fp + fn)` (11), IoU `tp / (tp + fp + fn)` (12), precision `tp / (tp + fp)` (13), recall and
    sensitivity `tp / (tp + fn)` (14), specificity `tn / (tn + fp)`. F1 (15), the harmonic mean of a class's precision
    and recall, is its Dice. Equation numbers are those of the DMF paper.

    A class that is in neither prediction nor target scores 1; a class in only one of them scores 0, in precision and
    recall too. Specificity without a single negative pixel is 1.

    Returns:
        Float64 tensors of shape (*batch, C).

    >>> from dmf.metrics import confusion_counts
    >>> prediction, target = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, 1, 0, 1]])
    >>> counts = confusion_counts(prediction, target, 2)
    >>> {name: round(value.item(), 4) for name, value in class_scores(counts[0, 1]).items() if name in ("dice", "iou")}
    {'dice': 0.5, 'iou': 0.3333}
    """
    tp, fp, fn, tn = counts.double().unbind(-1)
    dice = _fraction(2 * tp, 2 * tp + fp + fn, empty=1.0)
    both_empty = (tp + fp + fn == 0).double()
    recall = _fraction(tp, tp + fn, empty=both_empty)
    return {
        "dice": dice,
        "iou": _fraction(tp, tp + fp + fn, empty=1.0),
        "f1": dice,
        "precision": _fraction(tp, tp + fp, empty=both_empty),
        "recall": recall,
        "sensitivity": recall,
        "specificity": _fraction(tn, tn + fp, empty=1.0),
    }


def pixel_accuracy(counts: Num[Tensor, "*batch C 4"]) -> Float[Tensor, "*batch"]:
    """Pixels with the right class over all pixels; 1 for an image without a pixel to judge.

    >>> from dmf.metrics import confusion_counts
    >>> prediction, target = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, 1, 0, 1]])
    >>> counts = confusion_counts(prediction, target, 2)
    >>> pixel_accuracy(counts).tolist()  # two of four
    [0.5]
    """
    right, pixels = counts[..., TP].double().sum(-1), counts[..., 0, :].double().sum(-1)
    return _fraction(right, pixels, empty=1.0)


def cb_dice(counts: Num[Tensor, "*batch C 4"]) -> Float[Tensor, "*batch"]:
    """CB-Dice score `Σ_c w_c Dice_c`, `w_c = r_c^-1 / Σ r^-1`, r_c the class's share of pixels (DMF paper, 21 to 24).

    The equations leave a class without a pixel undefined. If it was not predicted either it is left out, as there is
    nothing to score. If it was predicted, its weight in the limit of ever fewer pixels is 1 and its Dice 0, and so is
    the score.

    >>> from dmf.metrics import confusion_counts
    >>> prediction, target = torch.tensor([[1, 1, 0, 0]]), torch.tensor([[1, 0, 0, 0]])
    >>> cb_dice(confusion_counts(prediction, target, 2)).round(decimals=4).tolist()  # ¼ · 4 / 5 + ¾ · 2 / 3
    [0.7]
    """
    tp, fp, fn, _ = counts.double().unbind(-1)
    pixels = tp + fn
    weights = (pixels > 0) / pixels.clamp(min=1)
    score = _fraction((weights * class_scores(counts)["dice"]).sum(-1), weights.sum(-1), empty=1.0)
    return score.masked_fill(((pixels == 0) & (fp > 0)).any(-1), 0.0)


def per_image(counts: Int[Tensor, " B C 4"]) -> dict[str, Float[Tensor, " B"]]:
    """The metrics of every image's foreground: the mean over its classes of 1 .. C-1, each by `class_scores`.

    A class in neither prediction nor target says nothing of an image that shows others, and is left out of its mean.
    An image without foreground in either scores 1.

    `accuracy` is the share of pixels with the right class and `cb_dice` the weighted Dice of all classes; both take
    the background in.

    Returns:
        Float64 tensors of shape (B,), under the names in `METRICS`.

    Raises:
        ValueError: where prediction or target held a class index outside 0 .. C-1.

    >>> from dmf.metrics import confusion_counts
    >>> prediction, target = torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]])
    >>> per_image(confusion_counts(prediction, target, 2))["iou"].tolist()  # 1 / 2; nothing there and nothing found
    [0.5, 1.0]
    >>> per_image(confusion_counts(prediction[:1], target[:1], 3))["iou"].tolist()  # class 2 is nowhere
    [0.5]
    """
    require_complete(counts)
    shown = counts[:, 1:, [TP, FP, FN]].any(-1)
    kept = shown | ~shown.any(-1, keepdim=True)
    means = {name: (values * kept).sum(-1) / kept.sum(-1) for name, values in class_scores(counts[:, 1:]).items()}
    return means | {"accuracy": pixel_accuracy(counts), "cb_dice": cb_dice(counts)}


def empty_masks(counts: Int[Tensor, " B C 4"]) -> dict[str, Tensor]:
    """Images (times foreground classes) that the rules for empty masks decided.

    `both_empty`: nothing there and nothing predicted, scored 1, or left out where the image shows other classes.
    `missed`: something there, nothing predicted; `invented`: nothing there, something predicted; both scored 0. Raises
    ValueError as `per_image` does.

    >>> from dmf.metrics import confusion_counts
    >>> prediction, target = torch.tensor([[0, 0], [0, 1], [0, 0]]), torch.tensor([[0, 1], [0, 0], [0, 0]])
    >>> {name: int(number) for name, number in empty_masks(confusion_counts(prediction, target, 2)).items()}
    {'both_empty': 1, 'missed': 1, 'invented': 1}
    """
    require_complete(counts)
    foreground = counts[:, 1:]
    there = foreground[..., TP] + foreground[..., FN] > 0
    predicted = foreground[..., TP] + foreground[..., FP] > 0
    return {
        "both_empty": (~there & ~predicted).sum(),
        "missed": (there & ~predicted).sum(),
        "invented": (~there & predicted).sum(),
    }


def _fraction(numerator: Tensor, denominator: Tensor, *, empty: float | Tensor) -> Tensor:
    """`numerator / denominator`, and `empty` where the denominator is 0."""
    nothing = denominator == 0
    substitute = torch.as_tensor(empty, dtype=numerator.dtype, device=numerator.device)
    return torch.where(nothing, substitute, numerator / denominator.masked_fill(nothing, 1))
