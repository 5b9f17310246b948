"""What the trials of a search are given: prepared data without their test images, which are not even read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int, UInt8

from pipelines.artifacts.arrays import Preparation, PreparedData, pixel_spacing


@dataclass(frozen=True)
class SearchData:
    """The images that train and select in one split, numbered anew.

    Attributes:
        images, targets, cases: Theirs alone, in memory.
        rows: Row numbers of train and val, and those of val once more in the place of test: what a trial reports as
            its test is its validation then, and whoever reads its record finds no other image.
    """

    preparation: Preparation
    images: UInt8[np.ndarray, "n C *S"]
    targets: UInt8[np.ndarray, "n ..."]
    cases: pd.DataFrame
    rows: dict[str, Int[np.ndarray, " n"]]

    @property
    def digest(self) -> str:
        """SHA-256 over all that; no other test image changes it."""
        made = self.preparation
        told = hashlib.sha256(json.dumps(["search", made.task, made.classes, made.ignore_index]).encode())
        spacing = pixel_spacing(self.cases, made.spatial) if made.task == "segmentation" else None
        for array in (self.images, self.targets, *self.rows.values(), *([] if spacing is None else [spacing])):
            told.update(f"{array.dtype} {array.shape}".encode())
            told.update(np.ascontiguousarray(array).tobytes())
        return told.hexdigest()


def search_data(prepared: PreparedData, split: str, filtered: bool) -> SearchData:
    """The part of a prepared data set that a search may see. Raises StageError for a split that it does not have."""
    dealt = prepared.rows(split)
    kept = np.concatenate([dealt["train"], dealt["val"]])
    train, val = np.split(np.arange(len(kept)), [len(dealt["train"])])
    return SearchData(
        preparation=prepared.meta.preparation,
        images=(prepared.filtered if filtered else prepared.images)[kept],
        targets=prepared.targets[kept],
        cases=prepared.cases.iloc[kept].reset_index(drop=True),
        rows={"train": train, "val": val, "test": val},
    )
