"""What comes out of a trial: a report an epoch, a result at the end, or the news that training was lost."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from dmf.training.diagnostics import Finding
from dmf.training.evaluation import Summary


class TrainingDiverged(RuntimeError):
    """The network's weights became NaN or infinite; the message names the first such loss and its step."""


@dataclass(frozen=True)
class EpochReport:
    """What one epoch was: its per-step history and how the validation split scored after it."""

    epoch: int
    steps: dict[str, np.ndarray]
    validation: dict[str, float]
    train_total: float
    seconds: float
    learning_rate: float
    findings: list[Finding]


@dataclass(frozen=True)
class TrialResult:
    """What is kept of a finished trial.

    Attributes:
        test, validation: protocol -> metric -> value, by the selected weights. A split counts as one batch in the
            reference protocol; the authors' notebook averages over batches of 32. `test` also has "<protocol>@noise=σ"
            for each σ of the spec's `test_noise`.
        images: one entry a test image and metric; `rows` says which image of the data it is.
        predictions: UInt8 (n, *spatial) or (n,), classes of the test images' pixels or of the images.
        probabilities: Float32 (n, C) in classification, None in segmentation.
        confusion: Int64 (C, C), test pixels or images of class i (row) that were taken for class j (column).
        weights: `state_dict` of the selected network, on the CPU.
    """

    test: Summary
    validation: Summary
    rows: np.ndarray
    images: dict[str, np.ndarray]
    predictions: np.ndarray
    probabilities: np.ndarray | None
    confusion: np.ndarray
    weights: dict[str, Tensor]
    best_epoch: int
    epochs: int
    findings: list[Finding] = field(default_factory=list)
