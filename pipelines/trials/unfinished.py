"""A trial in training, on disk: what a killed worker, driver or machine leaves, and what the next attempt goes on from.

trials/.unfinished/<study>/<identifier>/
    lock                     held by the process that trains the trial
    log.txt                  what happened, attempt by attempt
    progress.json            see `Progress`; what `pipelines.status` reads
    history-<epoch>.parquet  per-step rows from that epoch on, up to the next such file; last the SHA-256 of them
    epochs-<epoch>.parquet   the same for the rows of epochs
    checkpoint.pt            `Trial.state_dict()` after the last epoch of those files
    checkpoint.previous.pt   the one before

Beside it lies <identifier>.stop, of a search that wants no more epochs of the trial: after how many it is to end. The
driver writes it, and what a worker on another machine sends takes the place of the folder alone. Both are removed when
the trial's own folder, `trials/<study>/<identifier>`, is in its place.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, Field

from dmf.training.checkpoint import DIGEST, read_checkpoint, write_checkpoint
from pipelines.core.console import StageError
from pipelines.core.files import flush_to_disk, write_atomically
from pipelines.core.locks import is_locked, locked
from pipelines.trials.columns import HistoryColumns
from pipelines.trials.record import Description, Start, now
from pipelines.trials.stored import Stored, read_stored

EPOCH = HistoryColumns.epoch
"""The column by which rows of both tables are cut."""

LOCK = "lock"
"""The one file of a trial in training that means something to the machine alone that trains it."""

PATIENCE = 60
"""Seconds to wait for another process to let go of a trial: the workers of a killed driver end within a few."""


class Progress(Stored):
    """How far a trial has come; the one record that changes.

    Attributes:
        epochs_done: epochs on disk.
        score: the validation metric that selects, after the last of them.
        seconds: spent on those epochs and on setting up, all attempts together.
        updated: when, in seconds since 1970.
        attempts: all that were begun, the running one last.
        description: what the trial is; None before the first attempt.
    """

    model_config = ConfigDict(frozen=False)

    epochs_done: int = 0
    score: float | None = None
    seconds: float = 0.0
    updated: float = 0.0
    steps_per_epoch: int = 0
    attempts: list[Start] = Field(default_factory=list)
    description: Description | None = None

    @property
    def node(self) -> str:
        """The machine of the last attempt; empty before the first."""
        return self.attempts[-1].environment.node if self.attempts else ""


@dataclass(frozen=True)
class Checkpoint:
    """State after some epoch, with the rows of all epochs up to it."""

    state: dict[str, Any]
    history: pd.DataFrame
    epochs: pd.DataFrame


def unfinished_folder(trial: Path) -> Path:
    """Where a trial of `trials/<study>/<identifier>` lies while it trains."""
    return trial.parent.parent / ".unfinished" / trial.parent.name / trial.name


class Unfinished:
    """The folder of a trial in training. Only the process that holds its lock may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_file = folder / "log.txt"
        self._stop = folder.with_name(f"{folder.name}.stop")

    def lock(self, patience: float | None = None) -> AbstractContextManager[None]:
        """Hold the trial. Raises Locked if another process still trains it after so many seconds (`PATIENCE`)."""
        return locked(self.folder / LOCK, patience=PATIENCE if patience is None else patience)

    @property
    def running(self) -> bool:
        """Whether a live process on a machine that shares this disk trains it."""
        return is_locked(self.folder / LOCK)

    def progress(self) -> Progress:
        """What progress.json says; nothing done if there is none, or it is damaged or of another version."""
        try:
            return read_stored(self.folder / "progress.json", Progress)
        except StageError:
            return Progress()

    def write_progress(self, progress: Progress) -> Path:
        progress.updated = time.time()
        path = self.folder / "progress.json"
        write_atomically(path, lambda partial: partial.write_text(progress.to_json()))
        return path

    def log(self, message: str) -> None:
        """One line of log.txt, with time, machine and process."""
        with self.log_file.open("a") as file:
            file.write(f"{now()} {platform.node()} [{os.getpid()}] {message}\n")

    def save(self, state: Mapping[str, Any], history: pd.DataFrame, epochs: pd.DataFrame, progress: Progress) -> None:
        """Add the rows of the epochs since the last time, then the state after them and how far that is.

        A kill in between costs those epochs and nothing else: rows after the last checkpoint count for nothing. On
        return all of it would survive a power cut; one before that leaves the state before.
        """
        first = int(epochs[EPOCH].iloc[0])
        rows = self.write_rows("history", first, history), self.write_rows("epochs", first, epochs)
        newest, previous = self._checkpoint_files()
        if newest.exists():
            newest.replace(previous)
        write_checkpoint(state, newest)
        flush_to_disk(*rows, newest, self.write_progress(progress), self.folder)

    def write_rows(self, kind: str, first: int, rows: pd.DataFrame) -> Path:
        """Add rows of "history" or "epochs", which begin with epoch `first`."""
        table = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), table)
        sealed = table.getvalue() + hashlib.sha256(table.getvalue()).digest()
        path = self.folder / f"{kind}-{first:06}.parquet"
        write_atomically(path, lambda partial: partial.write_bytes(sealed))
        return path

    def checkpoints(self) -> Iterator[Checkpoint]:
        """What can be gone on from, newest first. What is damaged is deleted, and the log says so."""
        for path in self._checkpoint_files():
            try:
                state = read_checkpoint(path)
                rows = {kind: self.rows(kind, before=state["epochs_done"]) for kind in ("history", "epochs")}
                if [*rows["epochs"][EPOCH]] != [*range(state["epochs_done"])]:
                    raise ValueError(f"{path} has {state['epochs_done']} epochs, the rows beside it have others.")
                yield Checkpoint(state, **rows)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                self.log(f"checkpoint lost: {error}")
                path.unlink(missing_ok=True)

    def rows(self, kind: str, *, since: int = 0, before: float = math.inf) -> pd.DataFrame:
        """Rows of "history" or "epochs" from epoch `since` on, and before epoch `before`.

        Raises:
            ValueError: if a file of them is damaged.
        """
        files = sorted(self.folder.glob(f"{kind}-*.parquet"))
        begin = [int(path.stem.rpartition("-")[2]) for path in files]
        ends = [*begin[1:], math.inf]
        within = zip(files, begin, ends, strict=False)
        wanted = [
            path for path, first, end in within if end > since and first < (math.inf if before is None else before)
        ]
        if not wanted:
            return pd.DataFrame({EPOCH: []})
        rows = pd.concat([_read_rows(path) for path in wanted], ignore_index=True)
        return rows[rows[EPOCH] >= since].reset_index(drop=True)

    def restart(self, epochs: int) -> None:
        """Drop all rows from an epoch on, and every state if that epoch is the first."""
        for kind in ("history", "epochs"):
            for path in self.folder.glob(f"{kind}-*.parquet"):
                if int(path.stem.rpartition("-")[2]) >= epochs:
                    path.unlink()
        if epochs == 0:
            for path in self._checkpoint_files():
                path.unlink(missing_ok=True)

    def stop(self, epochs: int) -> None:
        """Have the trial end after so many epochs, early; whichever process trains it sees to that."""
        write_atomically(self._stop, lambda partial: partial.write_text(str(epochs)))

    def stopped(self, epochs: int) -> bool:
        """Whether the trial is to end now that it has trained so many epochs."""
        return self._stop.is_file() and epochs >= int(self._stop.read_text())

    @property
    def left(self) -> bool:
        """Whether there is anything to remove."""
        return self.folder.exists() or self._stop.exists()

    def remove(self) -> None:
        """The trial is done: nothing here is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._stop.unlink(missing_ok=True)

    def _checkpoint_files(self) -> tuple[Path, Path]:
        return self.folder / "checkpoint.pt", self.folder / "checkpoint.previous.pt"


def _read_rows(path: Path) -> pd.DataFrame:
    """Of a file of `write_rows`. Parquet itself notices neither a changed value nor a changed name of a column."""
    content = path.read_bytes()
    table, digest = content[:-DIGEST], content[-DIGEST:]
    if hashlib.sha256(table).digest() != digest:
        raise ValueError(f"{path} must end with the SHA-256 of what precedes. It does not: it is damaged.")
    return pq.read_table(pa.BufferReader(table)).to_pandas()
