"""What MLflow gets of a finished study: the best network of each data set as a model, and the report's figures."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import Run
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from dmf.metrics import PROTOCOLS
from pipelines.core.console import StageError
from pipelines.trials.identity import behind_network
from pipelines.trials.mirror import ORIGIN, origin_of
from pipelines.trials.mlflow_view import view_addresses
from pipelines.trials.record import DONE, WEIGHTS, TrialRecord, is_done, read_trial

ROOT = Path(__file__).resolve().parents[2]
SERVED = Path(__file__).with_name("served.py")
NAME, FIGURES = "model", "report"
OWN = "dmf", "pipelines", "tune_spaces"
PACKAGES = (
    "torch", "numpy", "pandas", "pyarrow", "scipy", "pydantic", "opencv-python-headless", "pillow", "simpleitk",
    "nibabel", "pyyaml", "jaxtyping", "rich", "timm", "segmentation-models-pytorch",
)  # fmt: skip
SELECTING = tuple(name for name, protocol in PROTOCOLS.items() if protocol.selects)


def publish(results: Path, report: Path, uri: str) -> Iterator[str]:
    """Send both, each once, to the runs of the best trials; says what it did, and where MLflow shows the study."""
    client = MlflowClient(uri)
    for record in best_trials(results):
        run = _run_of(client, results, record.identifier)
        named = f"{record.configuration} · {record.spec.dataset} · seed {record.spec.seed}"
        if not (record.folder / WEIGHTS).is_file():
            yield f"MLflow does without a model of {record.spec.dataset}: {record.folder / WEIGHTS} is missing."
        elif not (run.outputs and run.outputs.model_outputs):
            log_model(record, run, uri)
            yield f"MLflow has the best model on {record.spec.dataset} by validation: {named}"
        sent = {file.path for file in client.list_artifacts(run.info.run_id, FIGURES)}
        for figure in sorted((report / "figures").glob(f"{record.spec.dataset}_*.png")):
            if f"{FIGURES}/{figure.name}" not in sent:
                client.log_artifact(run.info.run_id, str(figure), FIGURES)
    if experiment := client.get_experiment_by_name(results.name):
        for name, address in view_addresses(experiment.experiment_id).items():
            yield f"On the page of `make ui`, {name}: {address}"


def best_trials(results: Path) -> Sequence[TrialRecord]:
    """Of each data set the finished trial with the best validation score, by the metric that chose its epoch."""
    best: dict[str, TrialRecord] = {}
    for folder in sorted(filter(is_done, results.iterdir())):
        try:
            record = read_trial(folder)
        except StageError:  # of another version; the mirror has said so
            continue
        other = best.get(record.spec.dataset)
        if other is None or _validation(record) > _validation(other):
            best[record.spec.dataset] = record
    return list(best.values())


def _validation(record: TrialRecord) -> float:
    scores = next((record.validation[name] for name in SELECTING if name in record.validation), {})
    score = scores.get("cb_dice", scores.get("f1", math.nan))
    return score if math.isfinite(score) else -1.0


def _run_of(client: MlflowClient, results: Path, identifier: str) -> Run:
    experiment = client.get_experiment_by_name(results.name)
    mine = f"tags.identifier = '{identifier}' and tags.{ORIGIN} = '{origin_of(results.parent)}'"
    runs = client.search_runs([experiment.experiment_id], mine) if experiment else []
    if not runs:
        raise StageError(f"MLflow holds no run of the trial {identifier}. Run the grid, or this command, again.")
    return runs[0]


def log_model(record: TrialRecord, run: Run, uri: str) -> None:
    """A model that needs neither this checkout nor the trial: code, weights and record are in it.

    What its network takes from other packages is among its requirements, or among its code if it was never installed.
    """
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

    spatial = (-1, -1, -1)
    segmented = record.preparation.task == "segmentation"
    answer = TensorSpec(np.dtype(np.uint8), spatial) if segmented else TensorSpec(np.dtype(np.float32), (-1, -1))
    signature = ModelSignature(Schema([TensorSpec(np.dtype(np.uint8), (*spatial, -1))]), Schema([answer]))
    required, beside = behind_network(record.spec)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with tempfile.TemporaryDirectory() as room, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an example of pictures, which the signature does without
            folder = Path(room) / record.identifier
            folder.mkdir()
            for name in (DONE, WEIGHTS):
                shutil.copyfile(record.folder / name, folder / name)
            begun = mlflow.initialize_logged_model(
                NAME, source_run_id=run.info.run_id, experiment_id=run.info.experiment_id
            )
            Model.log(
                artifact_path=None,
                name=NAME,
                flavor=mlflow.pyfunc,
                run_id=run.info.run_id,
                model_id=begun.model_id,
                python_model=str(SERVED),
                artifacts={"trial": str(folder)},
                code_paths=[str(path) for path in (*(ROOT / name for name in OWN), *beside)],
                signature=signature,
                pip_requirements=[*(f"{name}=={version(name)}" for name in PACKAGES), *required],
            )
    finally:
        mlflow.set_tracking_uri(before)
