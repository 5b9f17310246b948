"""Finished trials, read from disk and checked against what the study enumerates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dmf.training.spec import TrialSpec
from pipelines.core.console import StageError
from pipelines.trials.failure import FAILED, read_failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE

Scores = Mapping[str, Mapping[str, float]]
RERUN = "Delete that folder and run the grid again: finished trials are kept."


@dataclass(frozen=True)
class TrialRecord:
    """What one finished trial left behind. The larger tables are read when asked for.

    `test` and `validation` map protocol to metric to value (fractions), by the weights of `best_epoch` (from 0);
    `confusion` (C, C) counts test pixels, or images, of class i (row) that were taken for class j (column).
    `shared` says why it is the record of another trial, if it is.
    """

    folder: Path
    identifier: str
    configuration: str
    spec: TrialSpec
    test: Scores
    validation: Scores
    confusion: np.ndarray
    diagnostics: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, Any]
    data_checksum: str
    code_fingerprint: str
    code_version: str
    started: str
    seconds: float
    epochs: int
    best_epoch: int
    shared: str = ""

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row a training step: step, epoch, total, gamma, auxiliary, loss/<name>, weight/<name>."""
        return self._table("history.parquet", ("step", "epoch", "total", "gamma", "auxiliary"))

    @cached_property
    def epoch_table(self) -> pd.DataFrame:
        """One row an epoch: epoch, train_total, seconds, learning_rate, val/<metric>."""
        return self._table("epochs.parquet", ("epoch",))

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a test image with its scores."""
        return self._table("images.parquet", ("image",))

    @cached_property
    def predictions(self) -> dict[int, np.ndarray]:
        """Predicted classes (*spatial) or class () of each test image, by its row in the prepared arrays."""
        path = self.folder / "predictions.npz"
        try:
            with np.load(path) as stored:
                return dict(zip(stored["index"].tolist(), stored["masks"], strict=True))
        except Exception as error:  # numpy and zipfile raise many kinds for a damaged archive
            raise _damaged(path, error) from error

    def _table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        path = self.folder / name
        try:
            table = pd.read_parquet(path)
        except Exception as error:  # pyarrow raises many kinds for a damaged file
            raise _damaged(path, error) from error
        absent = [column for column in columns if column not in table]
        if absent or table.empty:
            raise _damaged(path, f"expected rows with the columns {', '.join(columns)}, missing {absent or 'rows'}")
        return table


def read_trials(planned: Sequence[PlannedTrial]) -> list[TrialRecord]:
    """The records of exactly the planned trials, in their order, each followed by those of its twins.

    Folders of other trials (an earlier version of the study, the data or the code) are left alone.

    Raises:
        StageError: no trial at all, a damaged file, or missing trials; the latter are listed with their cause.
    """
    done = [trial for trial in planned if (trial.folder / DONE).is_file()]
    failed = [trial for trial in planned if trial not in done and (trial.folder / FAILED).is_file()]
    if not done and not failed:
        where = planned[0].folder.parent
        raise StageError(f"{where} holds none of the study's {len(planned)} trials. Run the grid first: `make repro`.")
    if len(done) < len(planned):
        missing = "\n  ".join(_describe_missing(trial) for trial in planned if trial not in done)
        raise StageError(
            f"{len(planned) - len(done)} of the study's {len(planned)} trials are missing:\n  {missing}\n"
            "Mend the cause and run the grid again: finished trials are kept. The earlier report stays as it was."
        )
    return [record for trial in planned for record in _with_twins(trial)]


def _with_twins(trial: PlannedTrial) -> Iterator[TrialRecord]:
    record = _read_trial(trial)
    yield record
    for twin in trial.twins:
        yield replace(record, configuration=twin.configuration, spec=twin.spec, shared=twin.reason)


def _describe_missing(trial: PlannedTrial) -> str:
    failure = read_failure(trial.folder)
    return f"{trial.title} ({trial.identifier}): {failure.sentence if failure else 'never finished'}"


def _read_trial(trial: PlannedTrial) -> TrialRecord:
    path = trial.folder / DONE
    stored = _read_json(path)
    try:
        if stored["identifier"] != trial.identifier:
            raise ValueError(f"it belongs to the trial {stored['identifier']}")
        return TrialRecord(
            folder=trial.folder,
            identifier=trial.identifier,
            configuration=trial.configuration,
            spec=trial.spec,
            test=_scores(stored["summary"]),
            validation=_scores(stored["validation"]),
            confusion=np.array(stored["confusion"], dtype=np.int64),
            diagnostics=tuple(stored["diagnostics"]),
            environment=dict(stored["environment"]),
            data_checksum=str(stored["data_checksum"]),
            code_fingerprint=str(stored["code_fingerprint"]),
            code_version=str(stored["code_version"]),
            started=str(stored["started"]),
            seconds=float(stored["seconds"]),
            epochs=int(stored["epochs"]),
            best_epoch=int(stored["best_epoch"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def _scores(stored: Mapping[str, Mapping[str, Any]]) -> Scores:
    """Protocol to metric to float; a value that JSON could not hold (null) is not a number."""
    return {
        protocol: {metric: float("nan") if value is None else float(value) for metric, value in values.items()}
        for protocol, values in stored.items()
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(stored, dict):
        raise _damaged(path, f"expected a JSON object, found {type(stored).__name__}")
    return stored


def _damaged(path: Path, cause: object) -> StageError:
    reason = f"no value {cause}" if isinstance(cause, KeyError) else cause
    return StageError(f"{path} is damaged or not a trial's file ({reason}). {RERUN}")
