"""A trial's folder on disk: written once and whole, so that a folder that is there is a finished trial.

trials/<study>/<identifier>/
    trial.json       see `TrialRecord`
    history.parquet  see `HistoryColumns`
    epochs.parquet   see `EpochColumns`
    images.parquet   see `ImageColumns`
    predictions.npz  index: row in the prepared arrays; masks: predicted classes; probabilities, in classification
    model.pt         `state_dict` of the tested network
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from pyarrow import parquet
from pydantic import Field, PlainSerializer, PlainValidator

from dmf.training.diagnostics import RANDOM_START, Finding
from dmf.training.results import EpochReport, TrialResult
from dmf.training.spec import TrialSpec
from pipelines.artifacts.arrays import Preparation
from pipelines.core.files import flush_folder, replaced
from pipelines.trials.columns import EpochColumns, HistoryColumns, ImageColumns
from pipelines.trials.digests import Digests
from pipelines.trials.environment import Environment
from pipelines.trials.stored import Stored, Strict, damaged, read_stored
from pipelines.trials.tuning import Tuning

DONE = "trial.json"
HISTORY, EPOCHS, IMAGES, PREDICTIONS, WEIGHTS = (
    "history.parquet", "epochs.parquet", "images.parquet", "predictions.npz", "model.pt",
)  # fmt: skip


def _spec(value: TrialSpec | dict[str, Any]) -> TrialSpec:
    try:
        return value if isinstance(value, TrialSpec) else TrialSpec.from_dict(value)
    except TypeError as error:  # a field that specs no longer have, or one that they did not have yet
        raise ValueError(str(error)) from error


Spec = Annotated[TrialSpec, PlainValidator(_spec), PlainSerializer(TrialSpec.to_dict)]
Scores = dict[str, dict[str, float]]


class Description(Strict):
    """What a trial is, known before it begins.

    Attributes:
        data_checksum: Of the images and rows that it is given (`PreparedData.digest`).
        preparation: How its data were made.
        code_fingerprint: Of the definitions that it reaches (`pipelines.trials.identity`).
        code_version: The commit.
    """

    identifier: str
    study: str
    configuration: str
    spec: Spec
    data_checksum: str
    preparation: Preparation
    code_fingerprint: str
    code_version: str


class Start(Strict):
    """The beginning of an attempt: when, in which process of which machine, and after how many epochs on disk."""

    started: str
    process: int
    after_epochs: int
    environment: Environment


class Adoption(Strict):
    """How a record came to stand for a trial of other code (`pipelines.adopt`).

    Attributes:
        was: The identifier under which it was trained.
        by, at, why: Who said so, when, and for what reason.
        sample: Identifiers of the trials that were trained again by then, and came out bit for bit.
    """

    was: str
    by: str
    at: str
    why: str
    sample: tuple[str, ...]


class TrialRecord(Description, Stored):
    """A finished trial: what its trial.json says, and its tables, which are read when asked for.

    Attributes:
        folder: Where it lies; not in the file.
        shared: Why it is the record of another trial, if it is; not in the file.
        tuning: The search whose winner it was trained with, if its row is tuned; not in the file.
        attempts: All that were begun, the one that finished it last.
        seconds: That all attempts took together, without what was lost.
        best_epoch: The tested one, from 0.
        test, validation: Protocol to metric to value (fractions), by the weights of `best_epoch`.
        confusion: (C, C), test pixels, or images, of class i (row) that were taken for class j (column).
        diagnostics: What was found in the course of the training.
        digests: By which another run of it can be compared with this one.
        adopted: Every change of code that it was carried over.
    """

    folder: Path = Field(exclude=True)
    shared: str = Field(default="", exclude=True)
    tuning: Tuning | None = Field(default=None, exclude=True)
    attempts: tuple[Start, ...] = Field(min_length=1)
    seconds: float
    epochs: int
    best_epoch: int
    steps_per_epoch: int
    test: Scores
    validation: Scores
    confusion: tuple[tuple[int, ...], ...]
    diagnostics: tuple[Finding, ...]
    digests: Digests
    adopted: tuple[Adoption, ...] = ()

    @property
    def started(self) -> str:
        return self.attempts[0].started

    @property
    def random_start(self) -> bool:
        """Whether it asked for pretrained weights, could not have them and began from random ones."""
        return any(finding.kind == RANDOM_START for finding in self.diagnostics)

    @property
    def environment(self) -> Environment:
        """That of the attempt which finished it."""
        return self.attempts[-1].environment

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Those whose epochs are in the result, in order, and the one that tested it."""
        behind = [attempt.after_epochs for attempt in self.attempts]
        kept = [
            attempt.environment
            for number, attempt in enumerate(self.attempts[:-1])
            if attempt.after_epochs < min(behind[number + 1 :])
        ]
        return *kept, self.environment

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row a training step, see `HistoryColumns`."""
        columns = HistoryColumns.step, HistoryColumns.epoch, *HistoryColumns.of(self.spec.losses)
        return self._table(HISTORY, columns)

    @cached_property
    def epoch_table(self) -> pd.DataFrame:
        """One row an epoch, see `EpochColumns`."""
        return self._table(EPOCHS, (EpochColumns.epoch, EpochColumns.train_total))

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a test image with its scores, see `ImageColumns`."""
        return self._table(IMAGES, (ImageColumns.image,))

    @cached_property
    def predictions(self) -> dict[int, np.ndarray]:
        """Predicted classes (*spatial) or class () of each test image, by its row in the prepared arrays."""
        path = self.folder / PREDICTIONS
        try:
            with np.load(path) as stored:
                return dict(zip(stored["index"].tolist(), stored["masks"], strict=True))
        except Exception as error:  # numpy and zipfile raise many kinds for a damaged archive
            raise damaged(path, error) from error

    def forget_tables(self) -> None:
        """Let go of tables that were read: they are read again when asked for again."""
        for name in ("history", "epoch_table", "images", "predictions"):
            self.__dict__.pop(name, None)

    def _table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        path = self.folder / name
        try:
            table = parquet.ParquetFile(path, memory_map=True).read(use_threads=False).to_pandas(use_threads=False)
        except Exception as error:  # pyarrow raises many kinds for a damaged file
            raise damaged(path, error) from error
        absent = [column for column in columns if column not in table]
        if absent or table.empty:
            raise damaged(path, f"expected rows with the columns {', '.join(columns)}, missing {absent or 'rows'}")
        return table


def record_of(
    folder: Path,
    description: Description,
    attempts: Sequence[Start],
    result: TrialResult,
    digests: Digests,
    *,
    seconds: float,
    steps_per_epoch: int,
) -> TrialRecord:
    """The record of a trial that has just been tested."""
    return TrialRecord(
        **dict(description),
        folder=folder,
        attempts=tuple(attempts),
        seconds=round(seconds, 3),
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        steps_per_epoch=steps_per_epoch,
        test=result.test,
        validation=result.validation,
        confusion=tuple(map(tuple, result.confusion.tolist())),
        diagnostics=tuple(result.findings),
        digests=digests,
    )


def write_trial(
    record: TrialRecord, result: TrialResult, steps: pd.DataFrame, epochs: pd.DataFrame, cases: pd.DataFrame
) -> None:
    """Write a finished trial into `record.folder`, whole or not at all; an earlier failure there is replaced.

    Args:
        steps: Rows of `step_rows`.
        epochs: Rows of `epoch_row`.
        cases: The data set's `cases.csv`, in the order of its arrays.
    """
    tested = cases.iloc[result.rows][[ImageColumns.image, ImageColumns.label]].reset_index(drop=True)
    with replaced(record.folder, beside=record.folder.parent.parent) as partial:
        steps.to_parquet(partial / HISTORY, index=False)
        epochs.to_parquet(partial / EPOCHS, index=False)
        pd.concat([tested, pd.DataFrame(result.images)], axis=1).to_parquet(partial / IMAGES, index=False)
        probabilities: dict[str, Any] = {} if result.probabilities is None else {"probabilities": result.probabilities}
        np.savez_compressed(partial / PREDICTIONS, index=result.rows, masks=result.predictions, **probabilities)
        torch.save(result.weights, partial / WEIGHTS)
        (partial / DONE).write_text(record.to_json())
        flush_folder(partial)


def read_trial(folder: Path) -> TrialRecord:
    """The record of a finished trial.

    Raises:
        StageError: if it is damaged, of another version or of another trial.
    """
    record = read_stored(folder / DONE, TrialRecord, folder=folder)
    if record.identifier != folder.name:
        raise damaged(folder / DONE, f"it belongs to the trial {record.identifier}")
    return record


def is_done(folder: Path) -> bool:
    """Whether a trial has finished."""
    return (folder / DONE).is_file()


def step_rows(report: EpochReport, first_step: int) -> pd.DataFrame:
    """The rows of history.parquet of one epoch."""
    return history_rows(report.steps, report.epoch, first_step)


def history_rows(steps: Mapping[str, np.ndarray], epoch: int, first_step: int) -> pd.DataFrame:
    """The same of recorded steps, the first of them by its number in the whole training."""
    frame = pd.DataFrame(dict(steps))
    frame.insert(0, HistoryColumns.step, np.arange(first_step, first_step + len(frame)))
    frame.insert(1, HistoryColumns.epoch, epoch)
    return frame


def epoch_row(report: EpochReport) -> dict[str, Any]:
    """One row of epochs.parquet."""
    return {
        EpochColumns.epoch: report.epoch,
        EpochColumns.train_total: report.train_total,
        EpochColumns.seconds: report.seconds,
        EpochColumns.learning_rate: report.learning_rate,
        **{EpochColumns.validation(name): value for name, value in report.validation.items()},
    }


def now() -> str:
    """The time in UTC, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
