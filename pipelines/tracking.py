"""MLflow mirrors what the trials' Parquet files say: one experiment a study, one run a trial."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from dmf.diagnostics import Finding
from pipelines.records import DONE

BATCH = 1000
"""Metrics that one request of MLflow may hold."""

TRACKING_ERRORS = (MlflowException, OSError)
"""What MLflow raises when its store or server is away; a trial goes on without it."""


def tracking_uri(root: Path = Path()) -> str:
    """`$MLFLOW_TRACKING_URI`, or the SQLite file `mlflow.db` in the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').resolve()}"


class Mirror:
    """A study's experiment.

    Create it once in the driver before any worker does: a new database is set up then, which must not be raced.
    """

    def __init__(self, study: str, uri: str) -> None:
        self.study, self.uri = study, uri
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells of every table it creates
        self._client = MlflowClient(uri)
        experiment = self._client.get_experiment_by_name(study)
        self.experiment = experiment.experiment_id if experiment else self._create()

    def _create(self) -> str:
        local = self.uri.startswith("sqlite:///")
        artifacts = Path(self.uri.removeprefix("sqlite:///")).parent / "mlartifacts" / self.study
        return self._client.create_experiment(self.study, artifact_location=artifacts.as_uri() if local else None)

    def start(self, description: dict[str, Any]) -> MirroredRun:
        """A new run for a trial; what an interrupted attempt left of the same trial is deleted first."""
        for run in self._runs(f"tags.identifier = '{description['identifier']}'"):
            self._client.delete_run(run.info.run_id)
        run = self._client.create_run(self.experiment, run_name=_run_name(description))
        mirrored = MirroredRun(self._client, run.info.run_id)
        mirrored.describe(description)
        return mirrored

    def finished(self) -> set[str]:
        """Identifiers of the trials that MLflow holds whole."""
        return {run.data.tags.get("identifier", "") for run in self._runs("attributes.status = 'FINISHED'")}

    def sync(self, folders: list[Path], on_each: Callable[[], None] = lambda: None) -> int:
        """Bring MLflow level with finished trials on disk, each exactly once. Returns how many were missing."""
        known = self.finished()
        missing = [folder for folder in folders if folder.name not in known]
        for folder in missing:
            description = json.loads((folder / DONE).read_text())
            run = self.start(description)
            run.log_steps(pd.read_parquet(folder / "history.parquet"))
            run.log_epochs(pd.read_parquet(folder / "epochs.parquet"), description["steps_per_epoch"])
            run.finish(folder)
            on_each()
        return len(missing)

    def _runs(self, query: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs([self.experiment], query, ViewType.ACTIVE_ONLY, 1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


class MirroredRun:
    """One trial's run in MLflow, written in batches."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._id = client, run_id

    def describe(self, description: dict[str, Any]) -> None:
        """Parameters from the spec; tags for identifier, configuration, data and code."""
        params = [Param(name, json.dumps(value).strip('"')) for name, value in description["spec"].items()]
        names = ("identifier", "configuration", "study", "data_checksum", "code_fingerprint", "code_version")
        tags = [RunTag(name, str(description[name])) for name in names]
        self._client.log_batch(self._id, params=params, tags=tags)

    def log_steps(self, steps: pd.DataFrame) -> None:
        """Every recorded value of every step."""
        self._log_columns(steps.drop(columns=["step", "epoch"]), steps["step"])

    def log_epochs(self, epochs: pd.DataFrame, steps_per_epoch: int) -> None:
        """Epoch values, placed at the step that ended the epoch, so that all curves share one axis."""
        self._log_columns(epochs.drop(columns=["epoch"]), (epochs["epoch"] + 1) * steps_per_epoch - 1)

    def finish(self, folder: Path) -> None:
        """Test metrics, diagnostics as tags, the Parquet history as an artifact; the run is then FINISHED."""
        trial = json.loads((folder / DONE).read_text())
        scores = ((f"test/{p}/{m}", v, 0) for p, metrics in trial["summary"].items() for m, v in metrics.items())
        self._log(scores)
        for finding in (Finding(**values) for values in trial["diagnostics"]):
            self._client.set_tag(self._id, finding.tag[0], finding.message)
        for name in ("history.parquet", DONE):
            self._client.log_artifact(self._id, str(folder / name))
        self._client.set_terminated(self._id, RunStatus.to_string(RunStatus.FINISHED))

    def fail(self, error: str) -> None:
        """Mark the run as failed, with the error as a tag."""
        self._client.set_tag(self._id, "error", error[:5000])
        self._client.set_terminated(self._id, RunStatus.to_string(RunStatus.FAILED))

    def _log_columns(self, values: pd.DataFrame, steps: pd.Series[int]) -> None:
        self._log((str(name), value, step) for name in values for value, step in zip(values[name], steps, strict=True))

    def _log(self, values: Iterator[tuple[str, float, int]]) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, int(step)) for name, value, step in values]
        for first in range(0, len(metrics), BATCH):
            self._client.log_batch(self._id, metrics=metrics[first : first + BATCH])


def _run_name(description: dict[str, Any]) -> str:
    return f"{description['configuration']} · {description['spec']['dataset']} · seed {description['spec']['seed']}"
