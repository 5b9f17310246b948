"""The grid on Ray Tune: every planned trial that is not done, on this machine or on the cluster at RAY_ADDRESS."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from pipelines.artifacts import arrays
from pipelines.core.console import StageError, say
from pipelines.core.locks import Locked, locked
from pipelines.grid.courier import open_courier
from pipelines.grid.early import EarlyStops
from pipelines.grid.inputs import images_read, load_inputs
from pipelines.grid.progress import GridProgress
from pipelines.grid.queue import TrialQueue
from pipelines.grid.search import GridSearch, WorkerStarts
from pipelines.grid.worker import Job, TrialWorker
from pipelines.trials import mirroring
from pipelines.trials.failure import Failure, write_failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import Description
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tune_spaces import Study

TUNE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # Tune's own state is not used
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # GridSearch gives no more than can run
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


WITHHELD = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
"""What Tune writes among the arguments of its workers, where everybody may read it (Ray 2.60); training needs none."""

ROOT = Path(__file__).resolve().parents[2]

STARTS = 3
"""Attempts at starting Ray on this machine."""


def run_grid(
    study: Study,
    planned: list[PlannedTrial],
    data: Path,
    uri: str,
    workers: int | None = None,
    early: Sequence[PlannedTrial] = (),
) -> dict[str, Failure]:
    """Run what is not done yet, and mirror it in MLflow meanwhile. Returns the failed trials by identifier.

    Args:
        early: Those that ASHA may stop before their last epoch.

    Raises:
        StageError: if another grid runs this study, or the disk is full.
        KeyboardInterrupt: if Ctrl-C stopped it; every saved epoch is kept.
    """
    results = planned[0].folder.parent
    waiting = [trial for trial in planned if not trial.done]
    say(f"grid: {len(planned)} trials, {len(planned) - len(waiting)} done before, {len(waiting)} to run")
    room = unfinished_folder(results / "any").parent
    failures: dict[str, Failure] = {}
    if waiting:
        with _alone(room / "grid.lock", study), mirroring.following(results, uri), ray_for(study, workers):
            failures = _tune(study, planned, waiting, data, early)
    mirroring.bring_level(results, uri)
    for trial in planned:
        _clear(trial)
    return failures


def _clear(trial: PlannedTrial) -> None:
    """Remove the state of a trial that was killed between its result and its end; of no other, nor if it is held."""
    unfinished = Unfinished(unfinished_folder(trial.folder))
    if trial.done and unfinished.left:
        with suppress(Locked), unfinished.lock(patience=0):
            unfinished.remove()


def _tune(
    study: Study,
    planned: list[PlannedTrial],
    waiting: list[PlannedTrial],
    data: Path,
    early: Sequence[PlannedTrial],
) -> dict[str, Failure]:
    trials = {trial.identifier: trial for trial in waiting}
    threads = max(1, int(study.resources.cpus))
    tested = [trial.spec for trial in waiting if trial.proposal is None]
    for name, size in sorted({(spec.dataset, spec.image_size) for spec in tested}):
        arrays.load(data, name, size).verify()  # a search has hashed the images that it sees, and reads no others
    needed = {images_read(trial): trial for trial in waiting}
    inputs = {
        images: load_inputs(data, needed[images].spec, search=needed[images].proposal is not None)
        for images in sorted(needed)
    }
    folder = waiting[0].folder.parent
    courier = open_courier(folder.parent) if "RAY_ADDRESS" in os.environ else None
    sign = unfinished_folder(folder / f"driver-{uuid.uuid4().hex}").resolve()
    sign.touch()
    job = Job(study.name, trials, inputs, code_version(), threads, study.resources.gpus > 0, sign, courier)
    queue = TrialQueue(planned)
    scratch = waiting[0].folder.parent.parent / ".tune" / study.name
    with GridProgress(planned, queue) as progress:

        def failed(identifier: str, failure: Failure) -> None:
            description = trials[identifier].describe(study.name, job.code_version)
            progress.failed(identifier, _put_on_record(trials[identifier].folder, description, failure))

        search = GridSearch(queue, study.resources, on_failure=failed)
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(TrialWorker, job=job), search.needs),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=EarlyStops(search, early) if early else WorkerStarts(search),
                reuse_actors=True,
                num_samples=len(waiting) * 1000,
            ),
            run_config=tune.RunConfig(
                name=study.name,
                storage_path=str(scratch.resolve()),
                callbacks=[progress],
                stop=_WhenDiskIsFull(search),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            sign.unlink()
            shutil.rmtree(scratch, ignore_errors=True)
    if search.disk_full:
        raise StageError(
            f"{search.disk_full}. Make room where {waiting[0].folder.parent} lies and run the grid again: "
            "finished trials and saved epochs are kept."
        )
    if not queue.exhausted:
        raise KeyboardInterrupt  # Tune takes Ctrl-C for itself and returns as if all were well
    lost = "it ended, but its result is not on this machine"
    missing = {trial.identifier for trial in waiting if not trial.done} - queue.failures.keys()
    return {**queue.failures, **{identifier: Failure("machine", lost) for identifier in missing}}


class _WhenDiskIsFull(tune.Stopper):
    """Ends everything at once: no other trial could be written either."""

    def __init__(self, search: GridSearch) -> None:
        self._search = search

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self._search.disk_full)


def _put_on_record(folder: Path, description: Description, failure: Failure) -> Failure:
    """Complete and write down a failure that no worker could: its own death, or a trial that was never begun."""
    if failure.kind in ("machine", "skipped"):
        unfinished = Unfinished(unfinished_folder(folder))
        progress = unfinished.progress()
        if failure.kind == "machine" and not failure.log and progress.attempts:
            failure = replace(
                failure, attempts=len(progress.attempts), node=progress.node, log=str(unfinished.log_file)
            )
        write_failure(folder, description, failure, progress.attempts)
    return failure


@contextmanager
def _alone(lock: Path, study: Study) -> Iterator[None]:
    try:
        with locked(lock, patience=5):
            yield
    except Locked:
        seen = f"`python -m pipelines.status --study {study.name}` shows it"
        message = f"Another grid runs {study.name} in the same folder; {seen}."
        raise StageError(message) from None


@contextmanager
def ray_for(study: Study, workers: int | None) -> Iterator[None]:
    """Ray for the block, on this machine or at RAY_ADDRESS; inside another such block that one's.

    Raises:
        StageError: if it does not start, or is too small for the study.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in TUNE.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if "RAY_ADDRESS" in os.environ:
        if workers is not None:
            raise StageError("--workers is for local runs; the cluster at RAY_ADDRESS has its own size. Leave it out.")
    else:
        options |= {"address": "local", "num_cpus": workers or os.cpu_count(), "include_dashboard": False}
    withheld = {name: os.environ.pop(name) for name in WITHHELD if name in os.environ}
    try:
        _start(options)
        _refuse_impossible(study)
        yield
    finally:
        ray.shutdown()
        os.environ |= withheld


def _start(options: dict[str, Any]) -> None:
    """Start Ray here, which a machine that is busy may need several attempts for, or join the cluster at RAY_ADDRESS.

    Raises:
        StageError: if it does not come up.
    """
    local = "address" in options
    for left in reversed(range(STARTS if local else 1)):
        try:
            ray.init(**options)
        except Exception as error:  # Ray raises many kinds, among them plain ones
            ray.shutdown()
            cause = str(error).strip().partition("\n")[0] or type(error).__name__
            if left:
                say(f"grid: Ray did not start ({cause}); trying again")
                continue
            where = f"on this machine in {STARTS} attempts" if local else f"at RAY_ADDRESS={os.environ['RAY_ADDRESS']}"
            raise StageError(
                f"Ray did not start {where}: {cause}. Run this again when there is less other work, or with fewer "
                "`--workers`; finished trials and saved epochs are kept."
            ) from error
        return


def _refuse_impossible(study: Study) -> None:
    """A machine of its own does not grow: a trial that needs more than it has would wait for ever."""
    if "RAY_ADDRESS" in os.environ:
        return
    have = ray.cluster_resources()
    for name, need in (("CPU", study.resources.cpus), ("GPU", study.resources.gpus)):
        if need > have.get(name, 0):
            raise StageError(
                f"{study.path}: key `resources`: a trial needs {need:g} {name}, this machine offers "
                f"{have.get(name, 0):g}. Ask for less, or run on a cluster with RAY_ADDRESS."
            )


def code_version(root: Path = ROOT) -> str:
    """The commit of this code, with "+changes" where the packages differ from it; "unknown" outside a git repository.

    It is asked of the folder that holds the code, wherever the person stands, and whoever owns it: in a container that
    runs as root it is somebody else's.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "dmf", "pipelines", "tune_spaces")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
