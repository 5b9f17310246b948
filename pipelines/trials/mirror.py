"""MLflow mirrors what lies on disk: one experiment a study, one run a trial.

Only this module writes runs, and a study's mirror is kept by one process at a time (`pipelines.sync`). A run that
is FINISHED holds its trial whole; any other that this process did not begin is deleted and made anew. So whatever is
killed, and whenever, the next pass over the disk brings MLflow level with it, each trial and each value once. Runs of
other folders of trials, which may be other people's on the same server, are left alone: each run says its `origin`.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy.event
from mlflow.entities import LifecycleStage, Metric, Param, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.engine import Engine

from pipelines.core.console import StageError, say
from pipelines.core.files import write_atomically
from pipelines.core.locks import locked
from pipelines.trials.columns import EpochColumns, HistoryColumns
from pipelines.trials.failure import FAILED, read_failed
from pipelines.trials.mlflow_view import EXPERIMENT_TAGS, data_inputs
from pipelines.trials.record import DONE, HISTORY, Description, Start, TrialRecord, read_trial
from pipelines.trials.unfinished import Unfinished, unfinished_folder

BATCH = 1000
"""Metrics that one request of MLflow may hold."""

PATIENCE = 10.0
"""Seconds that new values of a trial in training may wait for others to fill a request with."""

TRACKING_ERRORS = (MlflowException, OSError)
"""What MLflow raises when its store or server is away."""

SQLITE = "sqlite:///"

TAGS = ("identifier", "configuration", "study", "data_checksum", "code_fingerprint", "code_version")
ORIGIN = "origin"
ROW = "row"
"""The tag by which charts group a configuration's seeds and folds on a data set, as a row of the tables does."""

ENVIRONMENT_TAGS = ("torch", "device", "instruction_set", "precision")
EPOCH = EpochColumns.epoch


def origin_of(trials: Path) -> str:
    """The name that a folder of trials bears in MLflow, drawn when it is first asked for; it moves with the folder."""
    path = trials / ".origin"
    with locked(path.with_name(".origin.lock"), patience=60):
        if not path.is_file():
            write_atomically(path, lambda partial: partial.write_text(uuid.uuid4().hex))
    return path.read_text()


def _set_up(database: Path) -> None:
    """Make a new database, whole or not at all: MLflow cannot go on from one whose making was cut short."""
    partial = database.with_name(f".{database.name}.partial")
    _remove(partial)
    MlflowClient(f"{SQLITE}{partial}").search_experiments(max_results=1)
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    partial.replace(database)
    _remove(partial)  # its empty journal, which MLflow holds open


def _remove(database: Path) -> None:
    for left in database.parent.glob(f"{database.name}*"):
        left.unlink()


@contextmanager
def _first_call(uri: str) -> Iterator[Path | None]:
    """Hold the lock of a database file, make it if it is new, and say where artifacts go; of a server nothing."""
    if not uri.startswith(SQLITE):
        yield None
        return
    database = Path(uri.removeprefix(SQLITE))
    with locked(database.with_name(f"{database.name}.lock"), patience=60):
        if not database.exists():
            _set_up(database)
        yield database.parent / "mlartifacts"


class Mirror:
    """A study's experiment, and what of each trial it holds.

    Args:
        study: Name of the experiment.
        uri: Of MLflow's store or server.
        origin: `origin_of` the folder of trials that is mirrored.
    """

    def __init__(self, study: str, uri: str, origin: str) -> None:
        # Failing fast: what could not be sent is sent by a later pass.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells of every table it creates
        sqlalchemy.event.listen(Engine, "connect", _spare_the_disk)
        self._origin = origin
        # A new database is set up at the first call, which two processes must not do at once.
        with _first_call(uri) as artifacts:
            self._client = MlflowClient(uri)
            experiment = self._client.get_experiment_by_name(study)
            place = artifacts and (artifacts / study).as_uri()
            create = self._client.create_experiment
            self.experiment = experiment.experiment_id if experiment else create(study, place)
            if experiment and experiment.lifecycle_stage == LifecycleStage.DELETED:
                self._begin_anew(study)
        for name, value in EXPERIMENT_TAGS.items():
            self._client.set_experiment_tag(self.experiment, name, value)
        self._finished: set[str] = set()
        self._failed: dict[str, str] = {}
        self._begun: dict[str, _Run] = {}
        self._strangers: dict[str, list[str]] = {}
        for run in self._runs():
            identifier = run.data.tags.get("identifier", "")
            if run.info.status == RunStatus.to_string(RunStatus.FINISHED):
                self._finished.add(identifier)
                continue
            self._strangers.setdefault(identifier, []).append(run.info.run_id)
            if run.info.status == RunStatus.to_string(RunStatus.FAILED):
                self._failed[identifier] = run.data.tags.get("error", "")

    def _begin_anew(self, study: str) -> None:
        """Take up an experiment that somebody deleted: its name stays taken, and nothing can be sent to it as it is."""
        say(f"MLflow's experiment {study} had been deleted. It is there again, filled anew from the trials on disk.")
        self._client.restore_experiment(self.experiment)
        for run in list(self._runs()):
            self._client.delete_run(run.info.run_id)

    def missing(self, results: Path) -> list[Path]:
        """Folders of finished trials that MLflow does not hold whole."""
        return [path.parent for path in self._files(results, DONE)]

    def level(self, results: Path, on_each: Callable[[], None] = lambda: None) -> int:
        """One pass over `trials/<study>`: saved epochs of trials in training, finished trials, failures.

        Returns how many finished trials were missing.
        """
        for identifier in self._finished & self._strangers.keys():  # made twice, as an answer was lost and asked again
            for run in self._strangers.pop(identifier):
                self._client.delete_run(run)
        for folder in unfinished_folder(results / "any").parent.glob("*/"):
            self._follow(Unfinished(folder))
        missing = self.missing(results)
        for folder in missing:
            try:
                self._complete(read_trial(folder))
            except StageError as error:  # of another version, as trials of earlier code may be, or damaged
                say(f"MLflow does without one trial: {error}")
            self._finished.add(folder.name)
            on_each()
        for path in self._files(results, FAILED):
            self._fail(path)
        return len(missing)

    def _files(self, results: Path, name: str) -> list[Path]:
        """The files of that name of all trials that MLflow does not hold whole."""
        if not results.is_dir():
            return []
        folders = (results / entry.name for entry in os.scandir(results) if entry.name not in self._finished)
        return sorted(folder / name for folder in folders if (folder / name).is_file())

    def _follow(self, unfinished: Unfinished) -> None:
        """Send the epochs that have been saved since the last pass."""
        identifier, progress = unfinished.folder.name, unfinished.progress()
        sent = self._begun[identifier].epochs if identifier in self._begun else 0
        if identifier in self._finished or progress.description is None or progress.epochs_done <= sent:
            return
        try:
            history, epochs = (unfinished.rows(kind, since=sent) for kind in ("history", "epochs"))
        except (OSError, ValueError):  # the trial ended or began anew in this moment
            return
        patient = time.monotonic() - self._begun[identifier].sent_at < PATIENCE if sent else False
        if len(epochs) and not (patient and history.size < BATCH):
            run = self.run_of(progress.description, progress.attempts, progress.steps_per_epoch)
            self.send_rows(run, history, epochs)

    def _complete(self, trial: TrialRecord) -> None:
        """Send what is still missing of a finished trial; its run is then FINISHED."""
        run = self.run_of(trial, trial.attempts, trial.steps_per_epoch)
        scores = [(f"test/{_allowed(p)}/{m}", v, 0) for p, metrics in trial.test.items() for m, v in metrics.items()]
        run.tags |= {finding.tag[0]: finding.message for finding in trial.diagnostics} | _tags_of(trial.attempts)
        history, epochs = (table[table[EPOCH] >= run.epochs] for table in (trial.history, trial.epoch_table))
        self.send_rows(run, history, epochs, scores)
        for name in (HISTORY, DONE):
            self._client.log_artifact(run.identifier, str(trial.folder / name))
        self._client.set_terminated(run.identifier, RunStatus.to_string(RunStatus.FINISHED))
        self._begun.pop(trial.identifier, None)

    def _fail(self, path: Path) -> None:
        """Mark a failed trial's run; a skipped trial has none."""
        try:
            failed = read_failed(path.parent)
        except StageError:  # of another version: the next grid tries it anew
            return
        failure = failed.failure
        if failure.kind == "skipped" or self._failed.get(path.parent.name) == failure.error[:5000]:
            return
        run = self.run_of(failed, failed.attempts)
        run.tags |= {"error": failure.error[:5000], "failure": failure.kind}
        self._send(run, [])
        self._client.set_terminated(run.identifier, RunStatus.to_string(RunStatus.FAILED))
        self._failed[path.parent.name] = failure.error[:5000]

    def run_of(self, trial: Description, attempts: Sequence[Start], steps_per_epoch: int = 0) -> _Run:
        """The trial's run; if it is not one that this process began, a new one, after deleting what others left."""
        identifier = trial.identifier
        if identifier not in self._begun:
            for stranger in self._strangers.pop(identifier, []):
                self._client.delete_run(stranger)
            row = f"{trial.configuration} · {trial.spec.dataset}"
            tags = {name: getattr(trial, name) for name in TAGS} | {ROW: row, ORIGIN: self._origin}
            name = f"{row} · seed {trial.spec.seed}"
            created = self._client.create_run(self.experiment, tags=tags, run_name=name)
            self._client.log_inputs(created.info.run_id, datasets=data_inputs(trial))
            params = [Param(name, json.dumps(value).strip('"')) for name, value in _params_of(trial).items()]
            self._begun[identifier] = _Run(created.info.run_id, steps_per_epoch, params, _tags_of(attempts))
            self._failed.pop(identifier, None)
        return self._begun[identifier]

    def send_rows(
        self, run: _Run, history: pd.DataFrame, epochs: pd.DataFrame, more: Iterable[tuple[str, float, int]] = ()
    ) -> None:
        """Every recorded number; those of an epoch at the step that ended it, so that all curves share one axis."""
        steps = _columns(history.drop(columns=[HistoryColumns.step, EPOCH]), history[HistoryColumns.step])
        numbers = epochs.drop(columns=[EPOCH, *EpochColumns.digests])
        ends = _columns(numbers, (epochs[EPOCH] + 1) * run.steps_per_epoch - 1)
        self._send(run, [*steps, *ends, *more])
        run.epochs += len(epochs)
        run.sent_at = time.monotonic()

    def _send(self, run: _Run, values: list[tuple[str, float, int]]) -> None:
        """In as few requests as MLflow allows. Sent twice, as when an answer is lost, a value is still stored once."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, int(step)) for name, value, step in values]
        room = BATCH - len(run.params) - len(run.tags)
        first, rest = metrics[:room], metrics[room:]
        if first or run.params or run.tags:
            tags = [RunTag(name, value) for name, value in run.tags.items()]
            self._client.log_batch(run.identifier, metrics=first, params=run.params, tags=tags)
            run.params, run.tags = [], {}
        for start in range(0, len(rest), BATCH):
            self._client.log_batch(run.identifier, metrics=rest[start : start + BATCH])

    def _runs(self) -> Iterator[Any]:
        """Those of this folder of trials; and those that say no origin, as older ones do."""
        token = None
        while True:
            page = self._client.search_runs([self.experiment], "", ViewType.ACTIVE_ONLY, 1000, page_token=token)
            yield from (run for run in page if run.data.tags.get(ORIGIN, self._origin) == self._origin)
            token = page.token
            if not token:
                return


@dataclass
class _Run:
    """A run that this process began: its identifier in MLflow, and what is still to be sent with the next values."""

    identifier: str
    steps_per_epoch: int
    params: list[Param]
    tags: dict[str, str] = field(default_factory=dict)
    epochs: int = 0
    sent_at: float = 0.0


def _spare_the_disk(connection: object, record: object) -> None:
    """Wait for the disk now and then, not at every commit: what a power cut takes from a mirror is sent again."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


def _tags_of(attempts: Sequence[Start]) -> dict[str, str]:
    """What the last attempt ran on."""
    return {name: getattr(last.environment, name) for last in attempts[-1:] for name in ENVIRONMENT_TAGS}


def _params_of(trial: Description) -> dict[str, Any]:
    """The spec, and under the names of params.yaml how the data were split and filtered, by which runs may differ."""
    made = trial.preparation
    parts = {"split": made.split, "filter": made.filter}
    prepared = {f"{part}.{name}": value for part, model in parts.items() for name, value in model.model_dump().items()}
    return {**trial.spec.to_dict(), **prepared}


def _allowed(protocol: str) -> str:
    """`macro@noise=0.1` -> macro noise:0.1, as MLflow's names hold neither @ nor =."""
    return protocol.replace("@", " ").replace("=", ":")


def _columns(values: pd.DataFrame, steps: pd.Series[int]) -> Iterator[tuple[str, float, int]]:
    for name in values:
        yield from zip([str(name)] * len(values), values[name].tolist(), steps.tolist(), strict=True)
