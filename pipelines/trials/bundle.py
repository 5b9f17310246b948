"""The records that a report carries: all that it takes to verify its numbers on another machine.

<reports>/<study>/records/
    <identifier>/              the trial's folder without its network, as `pipelines.trials.record` describes it
    images/<dataset>-<size>.csv  digests of every prepared image and target, see `image_table`
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.artifacts.arrays import PreparedData
from pipelines.core.console import StageError
from pipelines.trials.record import DONE, EPOCHS, HISTORY, IMAGES, PREDICTIONS, TrialRecord, read_trial

FOLDER, TABLES = "records", "images"
CARRIED = (DONE, HISTORY, EPOCHS, IMAGES, PREDICTIONS)
IMAGE, ARRAYS = "image", ("images", "filtered", "targets")
"""Columns of the table of images: its name, and a digest for each of the arrays."""


def image_table(prepared: PreparedData) -> pd.DataFrame:
    """One row a prepared image, in the order of the arrays: its name, and 16 hexadecimal digits for each array's."""
    arrays = {name: getattr(prepared, name) for name in ARRAYS}
    digests = {name: [_digest(entry) for entry in array] for name, array in arrays.items()}
    return pd.DataFrame({IMAGE: prepared.cases[IMAGE], **digests})


def table_name(dataset: str, size: int) -> str:
    """What the table of a data set at a size is called."""
    return f"{dataset}-{size}.csv"


def write_bundle(records: Iterable[TrialRecord], tables: Mapping[str, pd.DataFrame], report: Path) -> None:
    """Copy the records of a study, each trial once, and the tables of images by `table_name`, into its report."""
    for record in {record.identifier: record for record in records}.values():
        target = report / FOLDER / record.identifier
        target.mkdir(parents=True)
        for name in CARRIED:
            shutil.copyfile(record.folder / name, target / name)
    for name, table in tables.items():
        path = report / FOLDER / TABLES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)


def read_bundle(report: Path) -> list[TrialRecord]:
    """The records that a report carries, by identifier. Raises StageError if there is none, or one is damaged."""
    folders = sorted(path.parent for path in (report / FOLDER).glob(f"*/{DONE}"))
    if not folders:
        raise StageError(f"{report / FOLDER} holds no record. Make the report first: `make repro`.")
    return [read_trial(folder) for folder in folders]


def read_image_table(report: Path, dataset: str, size: int) -> pd.DataFrame:
    """The table of images that a report carries. Raises StageError if it carries none for this data set and size."""
    path = report / FOLDER / TABLES / table_name(dataset, size)
    if not path.is_file():
        raise StageError(f"{path} is missing. Make the report again: `dvc repro --force report`.")
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _digest(entry: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(entry).tobytes()).hexdigest()[:16]
