"""The grid on a real Ray: everything runs once, whatever is killed in between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from mlflow.tracking import MlflowClient

from pipelines.grid.plan import plan
from pipelines.grid.run import run_grid
from tune_spaces import Study, load_study

ROOT = Path(__file__).resolve().parents[2]
STUDY = {
    "title": "Tiny",
    "datasets": ["phantom"],
    "seeds": 2,
    "trial": {"model_params": {"base_filters": 2}, "image_size": 16, "epochs": 2, "batch_size": 64},
    "grid": [{"weighting": "mad", "weighting_params": {"history_size": 3}}, {"weighting": "fixed", "auxiliary": None}],
    "baseline": {"weighting": "fixed"},
}
DRIVER = """
import sys
from pathlib import Path
from pipelines.console import run_stage
from pipelines.grid.plan import plan
from pipelines.grid.run import run_grid
from tune_spaces import load_study
folder, data = Path(sys.argv[1]), Path(sys.argv[2])
study = load_study("tiny", folder)
store = f"sqlite:///{folder / 'mlflow.db'}"
run_stage(lambda: sys.exit(bool(run_grid(study, plan(study, data, folder / "trials"), data, store, workers=2))))
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom, prepared by the real stages."""
    root = tmp_path_factory.mktemp("data")
    for stage in ("fetch", "audit", "split", "filter"):
        command = [sys.executable, "-m", f"pipelines.{stage}", "--dataset", "phantom", "--root", str(root)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return root


def tiny(folder: Path, **changes: object) -> Study:
    trial = {**STUDY["trial"], **changes.pop("trial", {})}  # type: ignore[dict-item]
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**STUDY, **changes, "trial": trial}))
    return load_study("tiny", folder)


def run(study: Study, data: Path, folder: Path) -> dict[str, str]:
    return run_grid(study, plan(study, data, folder / "trials"), data, f"sqlite:///{folder / 'mlflow.db'}", workers=2)


def start(data: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(folder), str(data)], cwd=ROOT)


def finished(folder: Path) -> dict[str, int]:
    """Identifiers of finished trials and when they were written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("trials/tiny/*/trial.json")}


def mirrored(folder: Path) -> Counter[tuple[str, str]]:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return Counter(
        (run.data.tags["identifier"], run.info.status) for run in client.search_runs([experiment.experiment_id])
    )


def wait_for(condition: Callable[[], object], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def test_every_trial_is_recorded_and_mirrored_once_and_never_run_again(tmp_path: Path, data: Path) -> None:
    study = tiny(tmp_path)
    assert run(study, data, tmp_path) == {}
    planned = plan(study, data, tmp_path / "trials")
    before = finished(tmp_path)
    assert set(before) == {trial.identifier for trial in planned}
    assert mirrored(tmp_path) == {(trial.identifier, "FINISHED"): 1 for trial in planned}

    folder = planned[0].folder
    description = json.loads((folder / "trial.json").read_text())
    assert description["spec"] == planned[0].spec.to_dict()
    history, epochs = (pd.read_parquet(folder / f"{name}.parquet") for name in ("history", "epochs"))
    assert len(history) == 2 * description["steps_per_epoch"]
    assert history["step"].tolist() == list(range(len(history)))
    assert epochs["epoch"].tolist() == [0, 1]
    assert {path.name for path in folder.iterdir()} == {
        "trial.json", "history.parquet", "epochs.parquet", "images.parquet", "predictions.npz", "model.pt",
    }  # fmt: skip

    assert run(study, data, tmp_path) == {}
    assert finished(tmp_path) == before
    larger = tiny(tmp_path, seeds=3)
    run(larger, data, tmp_path)
    assert before.items() < finished(tmp_path).items()
    assert len(finished(tmp_path)) == 6


def test_a_killed_driver_keeps_what_was_finished_and_repeats_none_of_it(tmp_path: Path, data: Path) -> None:
    tiny(tmp_path, seeds=4, trial={"epochs": 6})
    driver = start(data, tmp_path)
    wait_for(lambda: len(finished(tmp_path)) >= 2)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    kept = finished(tmp_path)
    assert 2 <= len(kept) < 8, "the grid must have been killed in the middle"
    assert start(data, tmp_path).wait() == 0
    assert kept.items() <= finished(tmp_path).items()
    assert len(finished(tmp_path)) == 8
    assert mirrored(tmp_path) == {(identifier, "FINISHED"): 1 for identifier in finished(tmp_path)}


def test_ctrl_c_stops_within_seconds_and_keeps_what_was_finished(tmp_path: Path, data: Path) -> None:
    tiny(tmp_path, seeds=4, trial={"epochs": 40})
    driver = start(data, tmp_path)
    wait_for(lambda: len(finished(tmp_path)) >= 1)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 130
    assert 1 <= len(finished(tmp_path)) < 8


def test_a_killed_worker_loses_nothing(tmp_path: Path, data: Path) -> None:
    tiny(tmp_path, seeds=3, trial={"epochs": 6})
    driver = start(data, tmp_path)

    def kill_a_worker() -> bool:
        children = psutil.Process(driver.pid).children(recursive=True)
        workers = [child for child in children if "TrialWorker" in " ".join(child.cmdline())]
        for worker in workers[:1]:
            worker.kill()
        return bool(workers)

    wait_for(lambda: finished(tmp_path))
    wait_for(kill_a_worker)
    # Tune starts the trial again; a worker killed between two trials can still end the grid, which is then run again.
    if driver.wait() != 0:
        assert start(data, tmp_path).wait() == 0
    assert len(finished(tmp_path)) == 6
    assert mirrored(tmp_path) == {(identifier, "FINISHED"): 1 for identifier in finished(tmp_path)}


def test_a_trial_that_cannot_work_is_recorded_with_its_cause_and_spares_the_others(tmp_path: Path, data: Path) -> None:
    grid = [
        {"weighting": "mad", "optimizer": "sgd", "learning_rate": 1e30},
        {"weighting": "fixed", "auxiliary": None, "optimizer": "adam", "learning_rate": 1e-3},
    ]
    study = tiny(tmp_path, seeds=1, grid=grid)
    failed = run(study, data, tmp_path)
    (identifier,) = failed
    assert "TrainingDiverged" in failed[identifier]
    failure = json.loads((tmp_path / "trials" / "tiny" / identifier / "failure.json").read_text())
    assert failure["spec"]["learning_rate"] == 1e30
    assert "Traceback" in failure["traceback"]
    assert len(finished(tmp_path)) == 1
    assert mirrored(tmp_path)[identifier, "FAILED"] == 1
