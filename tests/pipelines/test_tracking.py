"""MLflow mirrors the Parquet files: every value, every trial once, whatever happened before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from pipelines.tracking import BATCH, Mirror, tracking_uri

STEPS_PER_EPOCH = 200


def description(identifier: str) -> dict[str, object]:
    return {
        "identifier": identifier,
        "study": "mine",
        "configuration": "variance · focal",
        "spec": {"dataset": "phantom", "seed": 3, "losses": ["dice", "iou"], "auxiliary": None},
        "data_checksum": "d" * 64,
        "code_fingerprint": "c" * 12,
        "code_version": "abc+changes",
        "steps_per_epoch": STEPS_PER_EPOCH,
        "summary": {"reference": {"dice": 0.5}, "per_image": {"dice": 0.25}},
        "diagnostics": [{"kind": "weight_collapse", "step": 7, "message": "All weight on dice.", "subject": "dice"}],
    }


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """The folder of a finished trial of 4 epochs."""
    folder = tmp_path / "trials" / "a1b2"
    folder.mkdir(parents=True)
    steps = np.arange(4 * STEPS_PER_EPOCH)
    history = pd.DataFrame(
        {"step": steps, "epoch": steps // STEPS_PER_EPOCH, "total": np.exp(-steps / 90.0), "gamma": 5.0}
    )
    history.to_parquet(folder / "history.parquet", index=False)
    pd.DataFrame({"epoch": range(4), "val/dice": [0.1, 0.2, 0.4, 0.3]}).to_parquet(
        folder / "epochs.parquet", index=False
    )
    (folder / "trial.json").write_text(json.dumps(description("a1b2")))
    return folder


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def runs(uri: str) -> list:
    client = MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name("mine").experiment_id])


def test_a_trial_becomes_one_run_that_holds_everything(trial: Path, uri: str) -> None:
    assert Mirror("mine", uri).sync([trial]) == 1
    (run,) = runs(uri)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "variance · focal · phantom · seed 3"
    assert run.data.params == {"dataset": "phantom", "seed": "3", "losses": '["dice", "iou"]', "auxiliary": "null"}
    assert run.data.tags["identifier"] == "a1b2"
    assert run.data.tags["code_version"] == "abc+changes"
    assert run.data.tags["diagnostics.weight_collapse.dice"] == "All weight on dice."
    assert run.data.metrics["test/per_image/dice"] == 0.25
    client = MlflowClient(uri)
    history = pd.read_parquet(trial / "history.parquet")
    assert 2 * len(history) > BATCH, "the history must need more than one request"
    mirrored = sorted(client.get_metric_history(run.info.run_id, "total"), key=lambda metric: metric.step)
    assert [metric.value for metric in mirrored] == history["total"].tolist()
    dice = sorted(client.get_metric_history(run.info.run_id, "val/dice"), key=lambda metric: metric.step)
    assert [(metric.step, metric.value) for metric in dice] == [(199, 0.1), (399, 0.2), (599, 0.4), (799, 0.3)]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"history.parquet", "trial.json"}


def test_a_second_sync_adds_nothing(trial: Path, uri: str) -> None:
    mirror = Mirror("mine", uri)
    assert [mirror.sync([trial]), mirror.sync([trial]), Mirror("mine", uri).sync([trial])] == [1, 0, 0]
    assert len(runs(uri)) == 1


def test_what_an_interrupted_attempt_left_is_replaced(trial: Path, uri: str) -> None:
    mirror = Mirror("mine", uri)
    mirror.start(description("a1b2"))
    mirror.start(description("a1b2")).fail("killed")
    assert mirror.sync([trial]) == 1
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


def test_the_store_is_named_by_the_environment_or_lies_in_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(tmp_path) == "http://127.0.0.1:5000"
