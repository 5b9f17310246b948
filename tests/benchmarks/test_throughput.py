"""The script that the platform is measured against computes what the platform computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from benchmarks import obvious_script
from dmf.training.trial import Trial
from tests.support.toy import toy_data, toy_spec


@pytest.mark.slow
def test_the_obvious_script_trains_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, data = replace(toy_spec(), auxiliary="cb_dice", tick=2), toy_data()
    trial = Trial(spec, data)
    reports = [trial.epoch() for _ in range(spec.epochs)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("obvious", artifact_location=(tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment) as run:
        scores = obvious_script.train(spec, data)
    client = mlflow.MlflowClient()
    for column in reports[0].steps:
        logged = [metric.value for metric in client.get_metric_history(run.info.run_id, column)]
        recorded = np.concatenate([report.steps[column] for report in reports])
        np.testing.assert_allclose(logged, recorded, rtol=1e-3, atol=1e-4, err_msg=column)
    assert scores["dice"] == pytest.approx(trial.finish().test["per_image"]["dice"], abs=0.02)
