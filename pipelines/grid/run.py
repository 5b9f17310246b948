"""The grid on Ray Tune: every planned trial that is not done, on this machine or on the cluster at RAY_ADDRESS."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from pipelines import arrays
from pipelines.console import StageError, bar, say
from pipelines.grid.plan import PlannedTrial
from pipelines.grid.progress import GridProgress
from pipelines.grid.worker import Inputs, Job, TrialWorker
from pipelines.tracking import Mirror
from tune_spaces import Study

RESTARTS = 3
"""How often a trial is started again after its worker or node died."""


def run_grid(study: Study, planned: list[PlannedTrial], data: Path, uri: str, workers: int | None) -> dict[str, str]:
    """Run what is not done yet. Returns the failed trials: identifier -> error."""
    mirror = Mirror(study.name, uri)
    waiting = [trial for trial in planned if not trial.done]
    say(f"grid: {len(planned)} trials, {len(planned) - len(waiting)} done before, {len(waiting)} to run")
    failed = _tune(study, planned, waiting, data, uri, workers) if waiting else {}
    finished = [trial.folder for trial in planned if trial.done]
    with bar(unit="trials mirrored") as progress:
        task = progress.add_task("MLflow", total=None)
        mirror.sync(finished, on_each=lambda: progress.advance(task))
    return failed


def _tune(
    study: Study, planned: list[PlannedTrial], waiting: list[PlannedTrial], data: Path, uri: str, workers: int | None
) -> dict[str, str]:
    _start_ray(workers)
    scratch = waiting[0].folder.parent.parent / ".tune" / study.name
    threads = max(1, int(study.resources.cpus))
    inputs = _inputs(waiting, data)
    job = Job(study.name, {trial.identifier: trial for trial in waiting}, inputs, uri, code_version(), threads)
    resources = {"cpu": study.resources.cpus, "gpu": study.resources.gpus}
    try:
        with GridProgress(planned) as progress:
            tuner = tune.Tuner(
                tune.with_resources(tune.with_parameters(TrialWorker, job=job), resources),
                param_space={"identifier": tune.grid_search([trial.identifier for trial in waiting])},
                tune_config=tune.TuneConfig(reuse_actors=True, num_samples=1),
                run_config=tune.RunConfig(
                    name=study.name,
                    storage_path=str(scratch.resolve()),
                    callbacks=[progress],
                    failure_config=tune.FailureConfig(max_failures=RESTARTS),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    verbose=0,
                ),
            )
            tuner.fit()
        missing = {trial.identifier for trial in waiting if not trial.done} - progress.failed.keys()
        if missing - progress.ended:
            raise KeyboardInterrupt  # Tune takes Ctrl-C for itself and returns as if all were well
        lost = "it ended, but its result is not on this machine: --trials must name a folder that all nodes share"
        return {**progress.failed, **dict.fromkeys(missing, lost)}
    finally:
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _start_ray(workers: int | None) -> None:
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if "RAY_ADDRESS" in os.environ:
        if workers is not None:
            raise StageError("--workers is for local runs; the cluster at RAY_ADDRESS has its own size. Leave it out.")
    else:
        options |= {"address": "local", "num_cpus": workers or os.cpu_count(), "include_dashboard": False}
    ray.init(**options)


def _inputs(waiting: list[PlannedTrial], data: Path) -> dict[tuple[str, bool], Inputs]:
    inputs = {}
    for name, filtered in sorted({(trial.spec.dataset, trial.spec.filtered) for trial in waiting}):
        prepared = arrays.load(data, name)
        images = np.asarray(prepared.filtered if filtered else prepared.images)
        classes = tuple(prepared.meta.classes)
        inputs[name, filtered] = Inputs(images, np.asarray(prepared.targets), classes, prepared.cases)
    return inputs


def code_version() -> str:
    """The commit, with "+changes" where the packages differ from it; "unknown" outside a git repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "dmf", "pipelines", "tune_spaces")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
