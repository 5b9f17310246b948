"""Where a grid stands and what is left to do, read from the records of its trials alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dmf.models import IF_AVAILABLE
from dmf.training.diagnostics import RANDOM_START, Finding
from pipelines.core.console import StageError
from pipelines.grid.estimate import from_finished
from pipelines.grid.status import grid_status, random_starts
from pipelines.status.work import print_status
from pipelines.trials.failure import Failure, write_failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder
from tests.support.grids import planned_trial
from tests.support.records import begun, record_of_planned
from tests.support.toy import toy_spec

NAMES = ("done", "failed", "running", "saved", "waiting")


@pytest.fixture
def planned(tmp_path: Path) -> list[PlannedTrial]:
    """A trial in each state."""
    trials = [
        planned_trial(name, "one", toy_spec(seed=seed, epochs=4), tmp_path / "study") for seed, name in enumerate(NAMES)
    ]
    finish(trials[0], seconds=8.0)
    write_failure(trials[1].folder, trials[1].describe("study", "abc"), Failure("divergence", "lost", 2, "n1"))
    for trial, epochs in ((trials[2], 1), (trials[3], 3)):
        attempts = [begun(node="n0"), begun(epochs, node="n2")]
        unfinished = Unfinished(unfinished_folder(trial.folder))
        description = trial.describe("study", "abc")
        unfinished.write_progress(Progress(epochs_done=epochs, attempts=attempts, description=description))
    return trials


def finish(trial: PlannedTrial, seconds: float) -> None:
    trial.folder.mkdir(parents=True)
    (trial.folder / DONE).write_text(record_of_planned(trial, seconds=seconds).to_json())


def test_each_trial_is_in_one_state(planned: list[PlannedTrial], capsys: pytest.CaptureFixture[str]) -> None:
    with Unfinished(unfinished_folder(planned[2].folder)).lock():
        status = grid_status(planned)
        print_status("study", status)
    assert [*status.done] == ["done"]
    assert status.failed["failed"].error == "lost"
    assert status.running["running"].epochs_done == 1
    assert status.interrupted["saved"].epochs_done == 3
    assert status.waiting == 2
    said = capsys.readouterr().out
    assert "5 trials: 1 done, 1 running, 2 waiting (1 with saved epochs), 1 failed" in said
    assert "n2" in said, "the running trial's last attempt is on that node"
    # 2 s an epoch: 3 epochs of the running trial, 1 of the saved one and 4 of the waiting one, on one worker.
    assert "00:00:16 left, from 1 finished trials" in said


def test_a_failure_that_cannot_be_read_is_one_with_a_reason(planned: list[PlannedTrial]) -> None:
    (planned[1].folder / "failure.json").write_text("{")
    assert "failure.json is damaged or not a trial's file" in grid_status(planned).failed["failed"].error


def test_time_is_estimated_from_what_finished_trials_of_a_kind_took(tmp_path: Path) -> None:
    specs = [toy_spec(seed=seed, epochs=4, image_size=size) for size in (16, 32) for seed in range(3)]
    trials = [planned_trial(f"{number:016}", "one", spec, tmp_path / "study") for number, spec in enumerate(specs)]
    for trial, seconds in zip(trials, (4.0, 12.0, None, 40.0, None, None), strict=True):
        if seconds:
            finish(trial, seconds)
    estimate = from_finished([trial for trial in trials if trial.done])
    assert estimate is not None
    assert estimate.seconds(trials[2]) == pytest.approx((4 + 12) / 2)
    assert estimate.seconds(trials[4]) == pytest.approx(40)
    unknown = dataclasses.replace(trials[4], spec=toy_spec(epochs=4, batch_size=2))
    assert estimate.seconds(unknown) == pytest.approx((8 + 40) / 2)


def test_trials_that_did_without_their_pretrained_weights_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wished = {"pretrained": IF_AVAILABLE}
    specs = [toy_spec(seed=seed, model_params=wished) for seed in range(3)] + [toy_spec(seed=3)]
    trials = [planned_trial(f"{number:016}", "one", spec, tmp_path / "study") for number, spec in enumerate(specs)]
    for trial in trials:
        finding = (Finding(RANDOM_START, 0, "It began from random ones."),) if trial.spec.seed in (1, 2) else ()
        trial.folder.mkdir(parents=True)
        (trial.folder / DONE).write_text(record_of_planned(trial, diagnostics=finding).to_json())
    assert random_starts(trials[:1]) == random_starts(trials[3:]) == ""
    print_status("study", grid_status(trials))
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 3 trials could not have their pretrained weights and began from random ones" in said
    assert "such as one · toy · seed 1" in said


def test_a_finished_trial_of_another_version_is_named(planned: list[PlannedTrial]) -> None:
    (planned[0].folder / DONE).write_text('{"seconds": 8.0, "epochs": 4}')
    with pytest.raises(StageError, match=r"done/trial\.json is damaged .*says no version"):
        from_finished(planned[:1])
