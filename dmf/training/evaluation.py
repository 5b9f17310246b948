"""How a network is judged on a split: by the protocols and the values per image of its task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from dmf.metrics import (
    SOFT,
    confusion_counts,
    confusion_matrix,
    hausdorff,
    hd95,
    per_image,
    protocols_of,
    selecting_protocol,
    soft_sums,
    summarise,
    summarise_soft,
)

Summary = dict[str, dict[str, float]]

DISTANCES = {"hd95": hd95, "hausdorff": hausdorff}


@dataclass(frozen=True)
class Predictions:
    """What a network says about n images, beside the truth.

    Attributes:
        counts: Int64 (n, C, 4), the confusion counts of each image.
        classes: UInt8 (n, *spatial) in segmentation, (n,) in classification: the most probable class.
        target: as `classes`, the truth.
        probabilities: Float32 (n, C) in classification, None in segmentation.
        soft: Float64 (n, C, 3) in segmentation, the sums of `soft_sums`; None in classification.
        ignore_index: target of pixels that count nowhere.
    """

    counts: Int[Tensor, "n C 4"]
    classes: UInt8[Tensor, " n *spatial"]
    target: UInt8[Tensor, " n *spatial"]
    probabilities: Float[Tensor, "n C"] | None
    soft: Float[Tensor, "n C 3"] | None
    ignore_index: int | None = None

    @classmethod
    def of(
        cls,
        logits: Float[Tensor, "n C *spatial"],
        target: UInt8[Tensor, " n *spatial"],
        ignore_index: int | None = None,
    ) -> Predictions:
        """Those of one batch; nothing waits for the device."""
        classes = logits.argmax(1).to(torch.uint8)
        counts = confusion_counts(classes, target, logits.shape[1], ignore_index=ignore_index)
        if logits.ndim == 2:
            return cls(counts, classes, target, logits.float().softmax(1), None)
        return cls(counts, classes, target, None, soft_sums(logits, target, ignore_index=ignore_index), ignore_index)

    @classmethod
    def concatenated(cls, batches: Sequence[Predictions]) -> Predictions:
        """Those of several batches."""
        probabilities = [batch.probabilities for batch in batches if batch.probabilities is not None]
        soft = [batch.soft for batch in batches if batch.soft is not None]
        return cls(
            torch.cat([batch.counts for batch in batches]),
            torch.cat([batch.classes for batch in batches]),
            torch.cat([batch.target for batch in batches]),
            torch.cat(probabilities) if probabilities else None,
            torch.cat(soft) if soft else None,
            batches[0].ignore_index,
        )

    @property
    def task(self) -> str:
        """Either "segmentation" or "classification"."""
        return "segmentation" if self.probabilities is None else "classification"

    def validation(self) -> dict[str, float]:
        """Metrics by the task's protocol that selects."""
        return summarise(self.counts, selecting_protocol(self.task))

    def summary(self) -> Summary:
        """Metrics by every protocol of the task, in segmentation `SOFT` too.

        The n images count as one batch in the reference protocol.
        """
        scores = {protocol: summarise(self.counts, protocol) for protocol in protocols_of(self.task)}
        return scores if self.soft is None else scores | {SOFT: summarise_soft(self.soft)}

    def images(self, spacing: Float[np.ndarray, "n 2"] | None = None) -> dict[str, Float[np.ndarray, " n"]]:
        """Of each image: overlap metrics and `DISTANCES`; or `correct` (0 or 1) and the true class's `probability`.

        With the `spacing` of each image's pixels, "<distance>_original" is measured in that unit, too.
        """
        if self.probabilities is None:
            classes, shown = self.counts.shape[1], self._shown
            distances = {name: of(*shown, num_classes=classes) for name, of in DISTANCES.items()}
            values = per_image(self.counts) | distances
            if spacing is not None:
                values |= {f"{name}_original": self._each(of, spacing) for name, of in DISTANCES.items()}
        else:
            true = self.probabilities.gather(1, self.target[:, None].long())[:, 0]
            values = {"correct": (self.classes == self.target).double(), "probability": true}
        return {name: value.cpu().numpy() for name, value in values.items()}

    def _each(self, distance: Callable[..., Tensor], spacing: Float[np.ndarray, "n 2"]) -> Float[Tensor, " n"]:
        images = zip(*(torch.split(maps, 1) for maps in self._shown), spacing.tolist(), strict=True)
        classes = self.counts.shape[1]
        return torch.cat([distance(*pair, sides, num_classes=classes) for *pair, sides in images])

    @property
    def _shown(self) -> tuple[Tensor, Tensor]:
        """Prediction and truth as distances see them: what counts nowhere is background in both."""
        if self.ignore_index is None:
            return self.classes, self.target
        void = self.target == self.ignore_index
        return self.classes.masked_fill(void, 0), self.target.masked_fill(void, 0)

    def confusion(self) -> Int[np.ndarray, "C C"]:
        """How many images (in segmentation, pixels) of class i (row) were taken for class j (column)."""
        count = self.counts.shape[1]
        return confusion_matrix(self.classes, self.target, count, ignore_index=self.ignore_index).cpu().numpy()
