"""Trials really trained and written as the grid writes them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import dmf
from dmf.training.data import TrialData
from dmf.training.spec import TrialSpec
from pipelines.trials.columns import ImageColumns
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import record_of, write_trial
from tests.support.grids import PREPARATION
from tests.support.records import NO_DIGESTS, begun


class Trained(NamedTuple):
    """A trial's folder, the images that it was tested on, and what it made of them."""

    folder: Path
    images: Tensor
    predictions: np.ndarray


def trained(folder: Path, spec: TrialSpec, data: TrialData) -> Trained:
    """A finished trial in a folder, without its tables of steps and epochs."""
    result = dmf.train(spec, data)
    task = "segmentation" if result.predictions.ndim > 1 else "classification"
    made = PREPARATION.model_copy(update={"classes": data.classes, "task": task})
    planned = PlannedTrial(folder.name, "alone", spec, "data", "code", folder, made)
    description = planned.describe("tiny", "abc123")
    record = record_of(folder, description, [begun()], result, NO_DIGESTS, seconds=1.0, steps_per_epoch=1)
    cases = pd.DataFrame({ImageColumns.image: map(str, range(len(data.images))), ImageColumns.label: ""})
    write_trial(record, result, pd.DataFrame(), pd.DataFrame(), cases)
    return Trained(folder, torch.as_tensor(data.images)[result.rows], result.predictions)
