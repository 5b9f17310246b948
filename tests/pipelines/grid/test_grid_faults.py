"""Real faults: killed processes, a lost node, truncated checkpoints, a full disk; the records are always the same."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import chaos
from benchmarks.chaos import differences
from benchmarks.harness.script import RESULTS, read
from dmf.training.checkpoint import write_checkpoint
from pipelines.core.console import StageError
from pipelines.grid import attempt as attempts
from pipelines.grid.attempt import Attempt
from pipelines.grid.run import run_grid
from pipelines.trials import identity
from pipelines.trials.failure import read_failure
from pipelines.trials.identity import code_fingerprint
from pipelines.trials.plan import PlannedTrial, plan
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tests.support.attempts import attempt_of
from tests.support.grids import LONG, finished, run, store, tiny

EPOCHS = 6

# Real clusters, killed and started again: minutes on a busy machine.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.fixture
def save_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "SHARE", 1e9)


class Place:
    """Attempts at the first trial of the tiny study, in folders of their own and without Ray."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.study = tiny(folder, seeds=1, trial={"epochs": EPOCHS})

    def planned(self, name: str) -> PlannedTrial:
        return plan(self.study, self.data, self.folder / name)[0]

    def begin(self, name: str) -> Attempt:
        return attempt_of(self.planned(name), self.data)

    def train(self, attempt: Attempt, epochs: int) -> None:
        for _ in range(epochs):
            attempt.record(attempt.training.epoch())

    def complete(self, name: str) -> Path:
        attempt = self.begin(name)
        self.train(attempt, EPOCHS - attempt.training.epochs_done)
        attempt.finish()
        assert attempt.failure is None
        return attempt.planned.folder


@pytest.fixture
def place(prepared_phantom: Path, tmp_path: Path, save_every_epoch: None) -> Place:
    return Place(prepared_phantom, tmp_path)


@pytest.mark.parametrize("killed_after", [0, 1, 3, EPOCHS])
def test_a_resumed_trial_is_the_undisturbed_one_bit_for_bit(place: Place, killed_after: int) -> None:
    calm = place.complete("calm")
    place.train(killed := place.begin("wild"), killed_after)
    killed.close()
    wild = place.complete("wild")
    assert differences(calm, wild) == []
    assert [one["after_epochs"] for one in json.loads((wild / "trial.json").read_text())["attempts"]] == [
        0,
        killed_after,
    ]
    assert not unfinished_folder(wild).exists()


@pytest.mark.parametrize(
    ("damaged", "resumed_after"), [(("checkpoint.pt",), 2), (("checkpoint.pt", "checkpoint.previous.pt"), 0)]
)
def test_a_truncated_checkpoint_costs_an_epoch_or_the_trial_but_changes_nothing(
    place: Place, damaged: tuple[str, ...], resumed_after: int
) -> None:
    place.train(killed := place.begin("wild"), 3)
    killed.close()
    for name in damaged:
        os.truncate(unfinished_folder(place.planned("wild").folder) / name, 500)
    resumed = place.begin("wild")
    assert resumed.training.epochs_done == resumed_after
    assert "checkpoint lost" in Unfinished(unfinished_folder(resumed.planned.folder)).log_file.read_text()
    resumed.close()
    assert differences(place.complete("calm"), place.complete("wild")) == []


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """A checkout of the package in which one file says something else."""
    shutil.copytree(identity.PACKAGE, folder / "dmf", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "dmf" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder / "dmf"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("schedule.py", "exp(", "exp(1 * "),
        ("schedule.py", "class AuxiliarySchedule", "class"),  # somebody is in the middle of an edit
        ("weightings/adaptive.py", "class MAD", "class OlderMAD"),  # a checkout from before there was the weighting
    ],
)
def test_a_worker_with_other_code_trains_nothing_and_names_its_node(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str
) -> None:
    place.train(killed := place.begin("wild"), 3)
    killed.close()
    with monkeypatch.context() as patch:
        patch.setattr(identity, "PACKAGE", edited(tmp_path, file, old, new))
        refused = place.begin("wild")
    assert refused.failure is not None
    assert (refused.failure.kind, refused.failure.node) == ("machine", platform.node())
    assert f"{platform.node()} has other code in {tmp_path / 'dmf'} than the trial was planned with" in (
        refused.failure.error
    )
    assert read_failure(refused.planned.folder) is None
    resumed = place.begin("wild")
    assert resumed.training.epochs_done == 3
    resumed.close()


def test_a_grid_whose_workers_have_other_code_trains_nothing_and_says_why(
    prepared_phantom: Path, tmp_path: Path
) -> None:
    study = tiny(tmp_path, seeds=1)
    planned = plan(study, prepared_phantom, tmp_path / "trials")
    planned = [dataclasses.replace(trial, code_fingerprint="0" * 12) for trial in planned]
    failures = run_grid(study, planned, prepared_phantom, store(tmp_path), workers=2)
    assert failures.keys() == {trial.identifier for trial in planned}
    for trial in planned:
        found = f"fingerprint {code_fingerprint(trial.spec)}, planned {'0' * 12}"
        assert found in failures[trial.identifier].error
        assert read_failure(trial.folder) == failures[trial.identifier]
    assert not finished(tmp_path)


def test_an_edit_that_no_trial_of_the_grid_reaches_stops_none(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "PACKAGE", edited(tmp_path, "activations/jacobi.py", "import torch", "import math"))
    place.complete("calm")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KB."""
    disk = tmp_path / "trials"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("save", [torch.save, write_checkpoint])
def test_a_full_disk_is_told_by_whatever_torch_says_of_it(
    small_disk: Path, save: Callable[[dict[str, torch.Tensor], Path], object]
) -> None:
    with pytest.raises(attempts.RecordError, match="the disk is full"), attempts._recording():  # noqa: SLF001
        save({"weight": torch.zeros(100_000)}, small_disk / "model.pt")


def test_a_full_disk_stops_the_grid_with_one_message_and_what_was_kept_goes_on(
    small_disk: Path, prepared_phantom: Path, tmp_path: Path
) -> None:
    study = tiny(tmp_path, seeds=4)
    with pytest.raises(StageError, match=r"the disk is full.*run the grid again"):
        run(study, prepared_phantom, tmp_path)
    kept = finished(tmp_path)
    assert len(kept) < 8
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert run(study, prepared_phantom, tmp_path) == {}
    assert kept.items() <= finished(tmp_path).items()
    assert len(finished(tmp_path)) == 8


def test_a_configuration_that_cannot_work_costs_one_trial_and_the_other_rows_nothing(
    prepared_phantom: Path, tmp_path: Path
) -> None:
    lonely = {"model": "smp:unet/resnet18", "model_params": {}, "batch_size": 1}  # nothing to normalise a batch over
    grid = [lonely, {"weighting": "fixed", "auxiliary": None}]
    study = tiny(tmp_path, seeds=3, grid=grid, baseline={"model": "unet"})
    failures = run(study, prepared_phantom, tmp_path)
    first, *others = [
        trial for trial in plan(study, prepared_phantom, tmp_path / "trials") if trial.identifier in failures
    ]
    assert [trial.spec.seed for trial in (first, *others)] == [0, 1, 2]
    failure = read_failure(first.folder)
    assert failure is not None
    assert (failure.kind, failure.attempts) == ("configuration", 1)
    assert "Traceback" in Path(failure.log).read_text()
    for trial in others:
        skipped = read_failure(trial.folder)
        assert skipped is not None
        assert skipped.error == f"skipped because seed 0 ({first.identifier}) failed: {failure.error}"
    assert len(finished(tmp_path)) == 3


def test_chaos_loses_nothing_doubles_nothing_and_changes_nothing(prepared_phantom: Path, tmp_path: Path) -> None:
    kinds = ["kill-driver", "kill-sync", "flipped-byte", "bad-server", "clock-back"]
    words = f"--data {prepared_phantom} --seeds 1 --epochs {2 * LONG} --hold 1 --pause 1 --out {tmp_path} --faults 5"
    chaos.main([*words.split(), "--kinds", *kinds])
    results, kept = (read(folder / "chaos.json") for folder in (tmp_path, RESULTS))
    assert results["found"].keys() == kept["found"].keys()
    found = dict(results["found"])
    assert found.pop("trials") == 2
    del found["resumed from an epoch"]  # how many depends on when the faults hit
    assert set(found.values()) == {0}, found
    # A quick machine may be done before the last of them.
    assert {fault["kind"] for fault in results["faults"]} <= {*kinds}
    assert results["faults"]
