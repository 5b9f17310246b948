"""Prepared data as it reaches the workers of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dmf.training.data import TrialData
from dmf.training.spec import TrialSpec
from pipelines.artifacts import arrays
from pipelines.artifacts.search_data import search_data
from pipelines.trials.plan import PlannedTrial

Images = tuple[str, int, bool, str]
"""What tells the arrays of two trials apart: data set, size, whether they are filtered; of a search also the split, as
its arrays lack the test images."""


@dataclass(frozen=True)
class Inputs:
    """Arrays of one data set at one size as they travel through the object store, where workers of one node share them.

    They hold every image once, whatever the splits of the trials: a trial picks its rows by the table of cases. Those
    of a search hold the images of one split that it may see, with their rows as `dealt`.
    """

    images: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    ignore_index: int | None
    cases: pd.DataFrame
    fractions: tuple[float, float, float]
    dealt: Mapping[str, np.ndarray] | None = None

    def trial_data(self, split: str) -> TrialData:
        """The same for a trial, dealt as `split` says; it copies what it keeps, so that large sets stay shared."""
        dealt = self.dealt or arrays.split_rows(self.cases, split, self.fractions)
        rows = {side: torch.from_numpy(index) for side, index in dealt.items()}
        spacing = arrays.pixel_spacing(self.cases, self.images.shape[2:])
        return TrialData(self.images, self.targets, rows, self.classes, spacing, self.ignore_index)


def images_read(planned: PlannedTrial) -> Images:
    """Which arrays a trial reads."""
    spec = planned.spec
    return spec.dataset, spec.image_size, spec.filtered, "" if planned.proposal is None else spec.split


def load_inputs(data: Path, spec: TrialSpec, *, search: bool = False) -> Inputs:
    """What a trial, of a search or not, and all others with the same `images_read` read.

    Raises:
        StageError: if it is not prepared.
    """
    prepared = arrays.load(data, spec.dataset, spec.image_size)
    meta = prepared.meta
    fixed = meta.classes, meta.ignore_index
    if search:
        seen = search_data(prepared, spec.split, spec.filtered)
        return Inputs(seen.images, seen.targets, *fixed, seen.cases, meta.split.fractions, seen.rows)
    images, targets = np.asarray(prepared.filtered if spec.filtered else prepared.images), np.asarray(prepared.targets)
    return Inputs(images, targets, *fixed, prepared.cases, meta.split.fractions)
