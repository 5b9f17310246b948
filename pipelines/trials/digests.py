"""What a training was given and what came of it, in a few characters each, so that two runs of it can be compared.

A digest is the first 32 hexadecimal digits of a SHA-256 over type, shape and bytes of each array. Those of an epoch
stand in its row of epochs.parquet, so that a training that is resumed goes on with them; those of the whole trial are
made of these and stand in its record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dmf.training.results import TrialResult
from dmf.training.trial import Trial
from pipelines.trials.columns import EpochColumns, HistoryColumns
from pipelines.trials.stored import Strict

ORDER, AUGMENTATION, WEIGHTS = EpochColumns.digests
PAIRED = ("initial_weights", "order", "augmentation")
"""What runs have in common that differ in losses and weighting alone."""


class Digests(Strict):
    """Those of a finished trial.

    Attributes:
        initial_weights: Of the network, before the first step.
        order: Row numbers of the training images, batch by batch, of all epochs.
        augmentation: The settings, and what was drawn for each of those images in each epoch.
        steps: Losses, weights and totals of every step.
        weights: Of the network that was tested.
        predictions: Rows of the test images and the classes that were predicted for them.
    """

    initial_weights: str
    order: str
    augmentation: str
    steps: str
    weights: str
    predictions: str


def digests_of(initial_weights: str, result: TrialResult, history: pd.DataFrame, epochs: pd.DataFrame) -> Digests:
    """Those of a trial that has just been tested, with the rows that go on record."""
    return Digests(
        initial_weights=initial_weights,
        order=_joined(epochs[ORDER]),
        augmentation=_joined(epochs[AUGMENTATION]),
        steps=steps_digest(history),
        weights=weights_digest(result.weights),
        predictions=predictions_digest(result.rows, result.predictions),
    )


def epoch_digests(trial: Trial) -> dict[str, str]:
    """Columns of epochs.parquet: those of the epoch that a trial has just trained."""
    rows, settings = torch.cat(trial.batches), repr(trial.augment.settings)
    sizes = torch.tensor([len(batch) for batch in trial.batches])
    return {
        ORDER: _digest({"rows": rows, "sizes": sizes}),
        AUGMENTATION: _digest({settings: trial.augment.drawn(rows)}),
        WEIGHTS: weights_digest(trial.model.state_dict()),
    }


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """That of a network's `state_dict`, in whatever order of memory."""
    return _digest(state)


def steps_digest(history: pd.DataFrame) -> str:
    """That of the rows of history.parquet."""
    losses = HistoryColumns.loss_names(map(str, history.columns))
    columns = HistoryColumns.step, HistoryColumns.epoch, *HistoryColumns.of(losses)
    return _digest({name: history[name].to_numpy() for name in columns})


def predictions_digest(rows: np.ndarray, classes: np.ndarray) -> str:
    """That of predicted classes, and of the rows of the images that they are about."""
    return _digest({"rows": rows.astype(np.int64), "classes": classes})


def _joined(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]


def _digest(arrays: Mapping[str, Tensor | np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, array in arrays.items():
        values = array.detach().cpu().numpy() if isinstance(array, Tensor) else array
        found.update(f"{name} {values.dtype} {values.shape}\n".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:32]
