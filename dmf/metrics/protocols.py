"""Protocols: how the counts of many images become one number per metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from dmf.metrics.counts import FN, TP, judged, require_complete
from dmf.metrics.scores import Scores, cb_dice, class_scores, empty_masks, per_image, pixel_accuracy
from dmf.registry import Registry


class Protocol(ABC):
    """One way from counts (B, C, 4) to a number per metric; a registered subclass is a protocol.

    Attributes:
        task: What it scores: "segmentation" or "classification".
        selects: Whether it is the one of its task by which trials choose their epoch.
    """

    task: ClassVar[str]
    selects: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def scores(counts: Int[Tensor, " B C 4"]) -> Scores:
        """Scalars under the names in `METRICS`."""


PROTOCOLS: Registry[Protocol] = Registry("metric protocol")


@PROTOCOLS.register("reference")
class Reference(Protocol):
    """The notebook of the DMF paper, to the letter, over one batch.

    Counts are averaged over the images, every metric is taken per class with 1e-7 added to its denominator, and the
    mean runs over all classes, *background included*. Hence: a class in neither prediction nor target scores 0;
    accuracy is that of each class against the rest; F1 is the harmonic mean of the two macro means, so it is not Dice.
    CB-Dice weighs classes by `1 / (ratio + 1e-6)`, ratio over the batch. Counts of 3-D images work alike.

    The notebook's value for a data set is the plain mean of this over its batches.

    >>> from dmf.metrics import confusion_counts
    >>> prediction = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]])
    >>> target = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 1]])
    >>> counts = confusion_counts(prediction, target, 2)
    >>> round(summarise(counts, "reference")["dice"], 4)  # (5 / 5.5 + 2 / 2.5) / 2: the background's, and the lesion's
    0.8545
    """

    task = "segmentation"
    selects = True

    @staticmethod
    def scores(counts: Int[Tensor, " B C 4"]) -> Scores:
        tp, fp, fn, tn = counts.double().mean(0).unbind(-1)
        epsilon = 1e-7
        dice = 2 * tp / (2 * tp + fp + fn + epsilon)
        precision = (tp / (tp + fp + epsilon)).mean()
        recall = (tp / (tp + fn + epsilon)).mean()
        pixels = tp + fp + fn + tn
        class_weights = 1 / ((tp + fn) / pixels + 1e-6)
        return {
            "dice": dice.mean(),
            "iou": (tp / (tp + fp + fn + epsilon)).mean(),
            "f1": 2 * precision * recall / (precision + recall + epsilon),
            "precision": precision,
            "recall": recall,
            "sensitivity": recall,
            "specificity": (tn / (tn + fp + epsilon)).mean(),
            "accuracy": ((tp + tn) / (pixels + epsilon)).mean(),
            "cb_dice": (class_weights * dice).sum() / class_weights.sum(),
        }


@PROTOCOLS.register("per_image")
class PerImage(Protocol):
    """The foreground's score in each image, then the mean over images: what a reader takes "lesion Dice" to mean.

    Beside the metrics it reports how often the rules for empty masks decided: `both_empty`, `missed`, `invented`.

    >>> from dmf.metrics import confusion_counts
    >>> prediction = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]])
    >>> target = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 1]])
    >>> counts = confusion_counts(prediction, target, 2)
    >>> round(summarise(counts, "per_image")["dice"], 4)  # (2 / 3 + 1) / 2
    0.8333
    """

    task = "segmentation"

    @staticmethod
    def scores(counts: Int[Tensor, " B C 4"]) -> Scores:
        means = {name: values.mean() for name, values in per_image(counts).items()}
        return means | empty_masks(counts)


@PROTOCOLS.register("pooled")
class Pooled(Protocol):
    """Counts summed over all images, then the foreground's score: mIoU* and mDice* of the Adapt Exp paper.

    As if the images were tiles of a single one, so that large lesions weigh more than small ones.

    >>> from dmf.metrics import confusion_counts
    >>> prediction = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]])
    >>> target = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 1]])
    >>> counts = confusion_counts(prediction, target, 2)
    >>> round(summarise(counts, "pooled")["dice"], 4)  # 4 / 5
    0.8
    """

    task = "segmentation"

    @staticmethod
    def scores(counts: Int[Tensor, " B C 4"]) -> Scores:
        return {name: values[0] for name, values in per_image(counts.sum(0, keepdim=True)).items()}


@PROTOCOLS.register("macro")
class Macro(Protocol):
    """Counts summed over all images, then the mean over all classes: for classification, where no class is background.

    A class in neither prediction nor target is left out of the mean; in one of them only, it scores 0.

    >>> from dmf.metrics import confusion_counts
    >>> counts = confusion_counts(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2]), 3)
    >>> round(summarise(counts, "macro")["precision"], 4)  # (1 + 1 + ½) / 3
    0.8333
    """

    task = "classification"
    selects = True

    @staticmethod
    def scores(counts: Int[Tensor, " B C 4"]) -> Scores:
        tp, fp, fn, _ = counts.sum(0).unbind(-1)
        return _weighted_mean(counts.sum(0), (tp + fp + fn > 0).double())


@PROTOCOLS.register("weighted")
class Weighted(Protocol):
    """As `macro`, but each class weighs as many times as it occurs: the "weighted" precision of the fusion paper.

    >>> from dmf.metrics import confusion_counts
    >>> counts = confusion_counts(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2]), 3)
    >>> round(summarise(counts, "weighted")["precision"], 4)  # (1 + 2 · 1 + ½) / 4
    0.875
    """

    task = "classification"

    @staticmethod
    def scores(counts: Int[Tensor, " B C 4"]) -> Scores:
        pooled = counts.sum(0)
        return _weighted_mean(pooled, (pooled[:, TP] + pooled[:, FN]).double())


def _weighted_mean(pooled: Int[Tensor, "C 4"], weights: Tensor) -> Scores:
    share = weights / weights.sum()
    means = {name: (share * values).sum() for name, values in class_scores(pooled).items()}
    return means | {"accuracy": pixel_accuracy(pooled), "cb_dice": cb_dice(pooled)}


def protocols_of(task: str) -> tuple[str, ...]:
    """Names of the protocols that score a task, in the order of their registration.

    >>> protocols_of("classification")
    ('macro', 'weighted')
    """
    return tuple(name for name, protocol in PROTOCOLS.items() if protocol.task == task)


def selecting_protocol(task: str) -> str:
    """The one protocol of a task by which trials choose their epoch.

    >>> selecting_protocol("segmentation")
    'reference'
    """
    (name,) = (name for name in protocols_of(task) if PROTOCOLS[name].selects)
    return name


def summarise(counts: Int[Tensor, " B C 4"], protocol: str = "per_image") -> dict[str, float]:
    """One number per metric for a set of images, by a protocol of `PROTOCOLS`.

    Args:
        counts: from `confusion_counts`, all images concatenated.
        protocol: a name in `PROTOCOLS`; `protocols_of` says which are for which task.

    Returns:
        The metrics of `METRICS` as fractions in [0, 1], and `images`, the number of those with a pixel to judge;
        others are left out. `per_image` adds the number of cases that the rules for empty masks decided (see
        `empty_masks`).

    Raises:
        UnknownName: for a protocol that is not registered.
        ValueError: without a pixel to judge, and where prediction or target held a class index outside 0 .. C-1.

    >>> from dmf.metrics import confusion_counts
    >>> counts = confusion_counts(torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, 1, 0, 1]]), 2)
    >>> round(summarise(counts)["iou"], 4)  # 1 / 3
    0.3333
    """
    chosen = PROTOCOLS[protocol]
    if counts.ndim != 3 or counts.shape[1] < 2 or not counts.any():
        raise ValueError(
            "Counts must come from `confusion_counts` and have shape (B, C, 4) with two classes or more and a pixel to "
            f"judge. Found shape {tuple(counts.shape)} and {int(counts.sum())} counts."
        )
    require_complete(counts)
    counts = counts[judged(counts)]
    scores = chosen.scores(counts)
    values = torch.stack([value.double() for value in scores.values()]).tolist()
    return dict(zip(scores, values, strict=True)) | {"images": float(len(counts))}
