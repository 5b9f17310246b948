"""Prepared data as it reaches the workers of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dmf.training.data import TrialData
from dmf.training.spec import TrialSpec
from pipelines.artifacts import arrays

Images = tuple[str, int, bool]
"""What tells the arrays of two trials apart: data set, size, whether they are filtered."""


@dataclass(frozen=True)
class Inputs:
    """Arrays of one data set at one size as they travel through the object store, where workers of one node share them.

    They hold every image once, whatever the splits of the trials: a trial picks its rows by the table of cases.
    """

    images: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    ignore_index: int | None
    cases: pd.DataFrame
    fractions: tuple[float, float, float]

    def trial_data(self, split: str) -> TrialData:
        """The same for a trial, dealt as `split` says; it copies what it keeps, so that large sets stay shared."""
        dealt = arrays.split_rows(self.cases, split, self.fractions)
        rows = {side: torch.from_numpy(index) for side, index in dealt.items()}
        spacing = arrays.pixel_spacing(self.cases, self.images.shape[2:])
        return TrialData(self.images, self.targets, rows, self.classes, spacing, self.ignore_index)


def images_read(spec: TrialSpec) -> Images:
    """Which arrays a trial reads."""
    return spec.dataset, spec.image_size, spec.filtered


def load_inputs(data: Path, spec: TrialSpec) -> Inputs:
    """What a trial and all others with the same `images_read` read. Raises StageError if it is not prepared."""
    prepared = arrays.load(data, spec.dataset, spec.image_size)
    images, meta = np.asarray(prepared.filtered if spec.filtered else prepared.images), prepared.meta
    targets, fractions = np.asarray(prepared.targets), meta.split.fractions
    return Inputs(images, targets, meta.classes, meta.ignore_index, prepared.cases, fractions)
