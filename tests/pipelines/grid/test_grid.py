"""The grid on a real Ray: everything runs once, whatever is killed in between."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import arrays
from pipelines.core.console import StageError
from pipelines.trials.finished import read_trials
from pipelines.trials.plan import plan
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tests.support.attempts import record_trial
from tests.support.commands import wait_for
from tests.support.grids import LONG, finished, mirrored, run, start, store, tiny, workers_of

# Real clusters, killed and started again: minutes on a busy machine.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_every_trial_is_recorded_and_mirrored_once_and_never_run_again(tmp_path: Path, prepared_phantom: Path) -> None:
    study = tiny(tmp_path)
    assert run(study, prepared_phantom, tmp_path, workers=2) == {}
    planned = plan(study, prepared_phantom, tmp_path / "trials")
    before = finished(tmp_path)
    assert set(before) == {trial.identifier for trial in planned}
    assert mirrored(store(tmp_path)) == {(trial.identifier, "FINISHED"): 1 for trial in planned}

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

    theirs = Unfinished(unfinished_folder(folder.with_name("of-another-checkout")))
    own = Unfinished(unfinished_folder(folder))
    for unfinished in (theirs, own):
        unfinished.folder.mkdir()
        (unfinished.folder / "checkpoint.pt").write_text("epochs")
    with theirs.lock():
        assert run(study, prepared_phantom, tmp_path) == {}
        assert theirs.running
    assert finished(tmp_path) == before
    assert (theirs.folder / "checkpoint.pt").read_text() == "epochs", "what others hold is left alone"
    assert not own.folder.exists(), "left by a worker that was killed after its result was in place"
    larger = tiny(tmp_path, seeds=3)
    run(larger, prepared_phantom, tmp_path)
    assert before.items() < finished(tmp_path).items()
    assert len(finished(tmp_path)) == 6


def test_all_workers_train_even_if_trials_are_shorter_than_the_start_of_a_worker(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    study = tiny(tmp_path, seeds=12, trial={"epochs": 40})
    assert run(study, prepared_phantom, tmp_path, workers=2) == {}
    attempts = [json.loads(path.read_text())["attempts"] for path in tmp_path.glob("trials/tiny/*/trial.json")]
    assert len(attempts) == 24
    assert len({one["process"] for trial in attempts for one in trial}) == 2


def test_trials_of_several_splits_and_sizes_read_what_is_their_own(tmp_path: Path, prepared_phantom: Path) -> None:
    """Splits share the arrays of a size, and test on their own rows."""
    splits = ["default", "random", "random:3", "random:0:20-8-9", "fold:0", "fold:4"]
    fixed = {"weighting": "fixed", "auxiliary": None}
    grid = [{**fixed, "split": splits}, {**fixed, "split": "random:4", "image_size": 24}]
    study = tiny(tmp_path, seeds=1, trial={"epochs": 1}, grid=grid, baseline={"split": "default"})
    planned = plan(study, prepared_phantom, tmp_path / "trials")
    assert run(study, prepared_phantom, tmp_path) == {}
    places = {trial.spec.split: trial.spec.image_size for trial in planned}
    assert places == {**dict.fromkeys(splits, 16), "random:4": 24}
    tested = {}
    for trial in planned:
        prepared, size = arrays.load(prepared_phantom, "phantom", trial.spec.image_size), trial.spec.image_size
        tested[trial.spec.split] = list(pd.read_parquet(trial.folder / "images.parquet")["image"])
        assert tested[trial.spec.split] == [*prepared.cases["image"].iloc[prepared.rows(trial.spec.split)["test"]]]
        assert np.load(trial.folder / "predictions.npz")["masks"].shape[1:] == (size, size)
        assert trial.preparation.spatial == (size, size)
    assert not set(tested["fold:0"]) & set(tested["fold:4"])
    assert len(tested["random:0:20-8-9"]) == 9


def test_a_trial_that_must_come_out_as_another_is_trained_once_and_read_twice(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    grid = [{"weighting": ["mad", "bayesian"], "weighting_params": {"history_size": 3}}]
    study = tiny(tmp_path, seeds=1, trial={"epochs": 1}, grid=grid, baseline={"weighting": "mad"})
    planned = plan(study, prepared_phantom, tmp_path / "trials")
    assert len(planned) == 1
    record_trial(planned[0], prepared_phantom)
    mad, bayesian = read_trials(planned)
    assert (mad.configuration, bayesian.configuration) == ("mad", "bayesian")
    assert (mad.identifier, mad.test) == (bayesian.identifier, bayesian.test)
    assert "trained once" in bayesian.shared
    assert not mad.shared


@pytest.mark.parametrize("split", ["official", "gruoped", "fold:x"])
def test_a_split_that_a_data_set_does_not_have_is_named_before_anything_runs(
    tmp_path: Path, prepared_phantom: Path, split: str
) -> None:
    study = tiny(tmp_path, trial={"split": split})
    message = rf"phantom/16/cases\.csv: the split '{split}' has no images for train, val, test\. There are: .*grouped"
    with pytest.raises(StageError, match=message):
        plan(study, prepared_phantom, tmp_path / "trials")


def test_ctrl_c_stops_and_keeps_what_was_finished(tmp_path: Path, prepared_phantom: Path) -> None:
    tiny(tmp_path, seeds=4, trial={"epochs": LONG})
    driver = start(prepared_phantom, tmp_path)
    wait_for(lambda: len(finished(tmp_path)) >= 1, driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait() == 130
    assert 1 <= len(finished(tmp_path)) < 8


def test_a_killed_worker_loses_nothing_and_one_that_is_asked_to_leave_saves_first(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    tiny(tmp_path, seeds=3, trial={"epochs": LONG})
    driver = start(prepared_phantom, tmp_path)
    room = tmp_path / "trials/.unfinished/tiny"

    def asked_to_leave() -> list[str]:
        logs = {path.parent.name: path.read_text() for path in room.glob("*/log.txt")}
        return [name for name, log in logs.items() if "asked to leave (SIGTERM) after" in log]

    wait_for(lambda: [*room.glob("*/checkpoint.pt")] and workers_of(driver), driver)
    for worker in workers_of(driver):
        worker.terminate()
    wait_for(asked_to_leave, driver)
    left = asked_to_leave()[0]
    saved = int(re.findall(r"\(SIGTERM\) after (\d+) epochs", (room / left / "log.txt").read_text())[0])
    wait_for(lambda: finished(tmp_path), driver)
    wait_for(lambda: [worker.kill() for worker in workers_of(driver)[:1]], driver)
    assert driver.wait() == 0
    begun = json.loads((tmp_path / "trials/tiny" / left / "trial.json").read_text())["attempts"]
    assert begun[1]["after_epochs"] == saved > 0
    assert len(finished(tmp_path)) == 6
    assert mirrored(store(tmp_path)) == {(identifier, "FINISHED"): 1 for identifier in finished(tmp_path)}


def test_a_trial_that_cannot_work_is_recorded_with_its_cause_and_spares_the_others(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    grid = [
        {"weighting": "mad", "optimizer": "sgd", "learning_rate": 1e30},
        {"weighting": "fixed", "auxiliary": None, "optimizer": "adam", "learning_rate": 1e-3},
    ]
    study = tiny(tmp_path, seeds=1, grid=grid)
    failed = run(study, prepared_phantom, tmp_path)
    (identifier,) = failed
    assert failed[identifier].kind == "divergence"
    assert "TrainingDiverged" in failed[identifier].error
    failure = json.loads((tmp_path / "trials" / "tiny" / identifier / "failure.json").read_text())
    assert failure["spec"]["learning_rate"] == 1e30
    assert failure["failure"]["attempts"] == 1
    assert "Traceback" in failure["failure"]["traceback"]
    assert len(finished(tmp_path)) == 1
    assert mirrored(store(tmp_path))[identifier, "FAILED"] == 1
