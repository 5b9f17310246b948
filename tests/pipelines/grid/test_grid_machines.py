"""Machines that fail, are wanted back, or are somebody else's: no trial is lost to them, and no row given up."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from pipelines.grid import attempt as attempts
from pipelines.grid.attempt import NoAccelerator
from pipelines.grid.run import code_version
from pipelines.trials import identity
from pipelines.trials.failure import read_failure
from pipelines.trials.plan import plan
from tests.support.attempts import attempt_of
from tests.support.grids import finished, start, tiny
from tests.support.places import ROOT

on_clusters = pytest.mark.cluster  # of one machine or two, with all of Ray's processes
pytestmark = pytest.mark.timeout(1800)

MACHINES = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("No CUDA GPUs are available"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    NoAccelerator("node7 has no GPU that works"),
    ModuleNotFoundError("No module named 'timm'"),
    OSError(errno.ESTALE, "Stale file handle"),
]
CONFIGURATIONS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    ValueError("Expected more than 1 value per channel when training"),
]


@pytest.mark.parametrize("error", [*MACHINES, *CONFIGURATIONS], ids=lambda error: str(error)[:40])
def test_a_fault_of_the_machine_keeps_the_state_and_one_of_the_configuration_does_not(
    prepared_phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(attempts, "SHARE", 1e9)  # every epoch is saved
    (planned,) = plan(tiny(tmp_path, seeds=1, grid=[{"weighting": "fixed"}]), prepared_phantom, tmp_path / "trials")
    failed = attempt_of(planned, prepared_phantom)
    failed.record(failed.training.epoch())
    failed.fail(error)
    assert failed.failure is not None
    machine = error in MACHINES
    assert failed.failure.kind == ("machine" if machine else "configuration")
    assert (read_failure(planned.folder) is None) == machine, "the driver knows whether a machine's fault is final"
    assert bool(failed.spoils) == (machine and not isinstance(error, OSError))
    again = attempt_of(planned, prepared_phantom)
    assert again.training.epochs_done == (1 if machine else 0)
    again.close()


@on_clusters
def test_a_trial_that_one_machine_fails_is_trained_by_another(prepared_phantom: Path, tmp_path: Path) -> None:
    """A machine that fails at once is always free, so that it would take, and fail, trial after trial."""
    tiny(tmp_path, seeds=3, trial={"epochs": 40})
    stale = tmp_path / "stale"
    shutil.copytree(identity.PACKAGE, stale / "dmf")
    schedule = stale / "dmf/schedule.py"
    schedule.write_text(schedule.read_text().replace("exp(", "exp(1 * "))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(stale)})
        environment = {**os.environ, "RAY_ADDRESS": cluster.address}
        assert start(prepared_phantom, tmp_path, env=environment, workers=0).wait() == 0
    finally:
        cluster.shutdown()
        ray.shutdown()
    assert len(finished(tmp_path)) == 6


@pytest.mark.parametrize("place", [ROOT, Path("/")])
def test_the_commit_is_that_of_the_code_wherever_the_person_stands(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert code_version(ROOT).partition("+")[0] != "unknown"


def test_a_checkout_of_another_user_has_a_commit_and_what_is_no_checkout_has_none(
    tmp_path: Path, git: Callable[..., str]
) -> None:
    assert code_version(tmp_path) == "unknown"
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "one")
    if os.geteuid() == 0:  # as in a container that runs as root
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.chown(path, 65534, 65534)
    assert code_version(tmp_path) == git("-c", f"safe.directory={tmp_path}", "rev-parse", "--short=12", "HEAD")


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    def git(*arguments: str) -> str:
        own = ["git", "-C", str(tmp_path), "-c", "user.name=test", "-c", "user.email=test@example.org"]
        return subprocess.run([*own, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    return git
