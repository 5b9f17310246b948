"""Small grids for tests: a study of tiny trials, run here or by a driver of its own that can be killed."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import yaml
from mlflow.tracking import MlflowClient

from dmf.training.spec import TrialSpec
from pipelines.artifacts.arrays import Preparation
from pipelines.datasets.params import FilterParams, SplitParams
from pipelines.grid.run import run_grid
from pipelines.trials import mirror
from pipelines.trials.failure import Failure
from pipelines.trials.plan import PlannedTrial, plan
from tests.support.places import ROOT
from tune_spaces import Study, load_study

STUDY = {
    "title": "Tiny",
    "datasets": ["phantom"],
    "seeds": 2,
    "trial": {"model_params": {"base_filters": 2}, "image_size": 16, "epochs": 2, "batch_size": 64},
    "grid": [{"weighting": "mad", "weighting_params": {"history_size": 3}}, {"weighting": "fixed", "auxiliary": None}],
    "baseline": {"weighting": "fixed"},
}
PREPARATION = Preparation(
    dataset="phantom", title="Phantom", task="segmentation", classes=("background", "lesion"), labels=("benign",),
    channels=1, spatial=(16, 16), from_volumes=False, split=SplitParams(), filter=FilterParams(), reduced=None,
    terms="free", citation="none",
)  # fmt: skip
TRAINING = ("ray::TrialWorker", "ray::ResourceTrainable")
LONG = 200  # epochs of a trial that takes seconds wherever it runs: its state is saved after two of them
DRIVER = """
import sys
from pathlib import Path
from pipelines.core.console import run_stage
from pipelines.grid.tuning import run_study
from tune_spaces import load_study
folder, data, uri = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
study = load_study("tiny", folder)
workers = int(sys.argv[4]) or None
run_stage(lambda: sys.exit(bool(run_study(study, data, folder / "trials", uri, workers)[1])))
"""


def planned_trial(identifier: str, configuration: str, spec: TrialSpec, folder: Path) -> PlannedTrial:
    """A trial that needs no data to be planned, with its place in a folder of trials."""
    return PlannedTrial(identifier, configuration, spec, "data", "code", folder / identifier, PREPARATION)


def tiny(folder: Path, **changes: Any) -> Study:
    """The study "tiny", written to a folder and read from there."""
    trial = {**STUDY["trial"], **changes.pop("trial", {})}  # type: ignore[dict-item]
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**STUDY, **changes, "trial": trial}))
    return load_study("tiny", folder)


def store(folder: Path) -> str:
    """A folder's own store of MLflow. A new one is a copy of an empty one: to make its tables takes a second."""
    database = folder / "mlflow.db"
    if not database.exists():
        shutil.copy(_empty_store(), database)
    return f"sqlite:///{database}"


@cache
def _empty_store() -> Path:
    database = Path(tempfile.mkdtemp(prefix="empty-store-")) / "mlflow.db"
    atexit.register(shutil.rmtree, database.parent, ignore_errors=True)
    mirror._set_up(database)  # noqa: SLF001
    return database


def run(study: Study, data: Path, folder: Path, workers: int = 1) -> dict[str, Failure]:
    """Run it in this process."""
    return run_grid(study, plan(study, data, folder / "trials"), data, store(folder), workers)


def start(
    data: Path, folder: Path, uri: str | None = None, workers: int = 2, env: Mapping[str, str] = os.environ
) -> subprocess.Popen[bytes]:
    """Run it in a process of its own; on the cluster at RAY_ADDRESS with 0 workers of its own."""
    arguments = [str(folder), str(data), uri or store(folder), str(workers)]
    return subprocess.Popen([sys.executable, "-c", DRIVER, *arguments], cwd=ROOT, env=env)


def workers_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that train for a driver: Ray names them by the class, and by the method while it runs."""

    def trains(process: psutil.Process) -> bool:
        try:
            return process.cmdline()[:1] != [] and process.cmdline()[0].startswith(TRAINING)
        except psutil.Error:  # it ended meanwhile
            return False

    try:
        return [*filter(trains, psutil.Process(driver.pid).children(recursive=True))]
    except psutil.Error:  # the driver itself has ended
        return []


def syncs_of(driver: int) -> list[psutil.Process]:
    """The process that keeps MLflow level for a driver, which is given by its number."""
    try:
        children = psutil.Process(driver).children()
        return [child for child in children if "pipelines.sync" in child.cmdline()]
    except psutil.Error:  # one of them ended meanwhile
        return []


def finished(folder: Path) -> dict[str, int]:
    """Identifiers of finished trials and when they were written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("trials/tiny/*/trial.json")}


def mirrored(uri: str) -> Counter[tuple[str, str]]:
    """How often MLflow has each identifier in each state."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return Counter(
        (run.data.tags["identifier"], run.info.status) for run in client.search_runs([experiment.experiment_id])
    )
