"""Where MLflow's store is, what may be printed of it, and the links to the studies that it holds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from mlflow.tracking import MlflowClient

from pipelines.core.console import StageError
from pipelines.trials.mirror import Mirror
from pipelines.trials.tracking import experiments, shown, tracking_uri
from pipelines.ui.work import links


def store_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def test_each_study_has_a_link_that_opens_on_its_trainings(tmp_path: Path) -> None:
    uri = store_in(tmp_path)
    assert experiments(uri) == {}
    assert not Path(uri.removeprefix("sqlite:///")).exists(), "asking makes no database"
    mirror = Mirror("mine", uri, "here")
    assert experiments(uri) == {"mine": mirror.experiment}
    every, scores, weights = links("http://127.0.0.1:5000", experiments(uri))
    assert every.endswith("http://127.0.0.1:5000/#/experiments?workflowType=machine_learning")
    place = f"http://127.0.0.1:5000/#/experiments/{mirror.experiment}/runs?workflowType=machine_learning"
    assert scores == f"mine, scores: {place}&viewStateShareKey=scores"
    assert weights == f"mine, weights: {place}&viewStateShareKey=weights&compareRunsMode=CHART"
    tags = MlflowClient(uri).get_experiment(mirror.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development", "so that a bare link opens there, too"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("http://ada:s3cret@host:5000/x", "http://***@host:5000/x"),
        ("postgresql+psycopg://ada:p:w@db/mlflow", "postgresql+psycopg://***@db/mlflow"),
        ("API request to https://token@host/api failed", "API request to https://***@host/api failed"),
        ("sqlite:////tmp/a@b/mlflow.db", "sqlite:////tmp/a@b/mlflow.db"),
        ("http://host/users/ada@example.org", "http://host/users/ada@example.org"),
    ],
)
def test_an_address_is_printed_without_user_and_password(text: str, printed: str) -> None:
    assert shown(text) == printed


def test_the_store_is_named_by_the_environment_or_lies_in_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == store_in(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(tmp_path) == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("mounted", "kind"),
    [({"/": "ext4", "{}": "nfs4"}, "nfs4"), ({"/": "lustre"}, "lustre"), ({"/": "nfs", "{}": "xfs"}, "")],
)
def test_an_sqlite_file_on_a_disk_that_machines_share_is_refused(
    mounted: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    table = [SimpleNamespace(mountpoint=place.format(tmp_path), fstype=name) for place, name in mounted.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: table)
    if not kind:
        assert tracking_uri(tmp_path) == store_in(tmp_path)
        return
    with pytest.raises(StageError, match=rf"mlflow.db: lies on a network disk \({kind}\).*Set MLFLOW_TRACKING_URI to"):
        tracking_uri(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(tmp_path) == "http://127.0.0.1:5000"
