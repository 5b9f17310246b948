"""A search on Ray: killed and taken up, no trial twice, its winner trained; and ASHA's word, without Ray."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pipelines.grid.early import EarlyStops
from pipelines.grid.queue import TrialQueue
from pipelines.grid.search import GridSearch, able
from pipelines.grid.tuning import proposed
from pipelines.grid.worker import StepReport
from pipelines.trials.plan import PlannedTrial, outline, plan
from pipelines.trials.record import read_trial
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tests.support.attempts import record_trial
from tests.support.commands import wait_for
from tests.support.grids import LONG, start, tiny, workers_of
from tune_spaces import Study
from tune_spaces.study import Resources

FIXED = {"weighting": "fixed", "auxiliary": None}


def study_of(folder: Path, epochs: int) -> Study:
    tuned = {"weights": "simplex", "budget": {"trials": 4}, "scheduler": "asha"}
    return tiny(folder, grid=[FIXED, {**FIXED, "tuned": tuned}], seeds=1, trial={"epochs": epochs})


def search_trials(folder: Path, data: Path, epochs: int) -> list[PlannedTrial]:
    (search,) = outline(study_of(folder, epochs), data, folder / "trials").searches
    return proposed(search)


@pytest.mark.cluster
@pytest.mark.timeout(1800)
def test_a_search_that_is_killed_goes_on_and_ends_in_a_report_of_its_winner(
    prepared_phantom: Path, tmp_path: Path
) -> None:
    study = study_of(tmp_path, LONG)
    trials = search_trials(tmp_path, prepared_phantom, LONG)

    def done() -> dict[str, int]:
        return {trial.identifier: (trial.folder / "trial.json").stat().st_mtime_ns for trial in trials if trial.done}

    driver = start(prepared_phantom, tmp_path)
    wait_for(done, driver)
    workers = workers_of(driver)
    for process in (driver.pid, *(worker.pid for worker in workers)):
        os.kill(process, signal.SIGKILL)
    driver.wait()
    before = done()
    assert not [*tmp_path.glob("trials/tiny/*/trial.json")], "rows are trained when searches have ended"
    assert start(prepared_phantom, tmp_path).wait() == 0
    assert sorted(os.listdir(trials[0].folder.parent)) == sorted(trial.identifier for trial in trials)
    assert before.items() <= done().items(), "what is done is not done again"
    planned = plan(study, prepared_phantom, tmp_path / "trials")
    assert all(trial.done for trial in planned)
    tuning = planned[-1].tuning
    assert tuning is not None
    best = max(tuning.proposals, key=lambda one: (one.score or 0, -one.number))
    assert read_trial(planned[-1].folder).spec.weighting_params == {"weights": best.values["weights"]}
    assert [one.epochs == LONG for one in tuning.proposals] == [not one.stopped for one in tuning.proposals]


def scheduler(trials: list[PlannedTrial]) -> EarlyStops:
    return EarlyStops(GridSearch(TrialQueue(trials), Resources(), lambda identifier, failure: None), trials)


def tell(asha: EarlyStops, trial: PlannedTrial, epochs: int, score: float) -> bool:
    """What a worker reports of an epoch; whether the trial is to end there."""
    report = StepReport({trial.identifier: epochs}, {trial.identifier: score}, set(), {}, "node")
    assert asha.on_trial_result(None, None, {"report": report}) == "CONTINUE", "the worker ends the trial, not Tune"
    return Unfinished(unfinished_folder(trial.folder)).stopped(epochs)


def test_asha_stops_what_is_not_among_the_best_quarter(prepared_phantom: Path, tmp_path: Path) -> None:
    """By hand, of 8 epochs: rungs at 1 and 4; the third quartile of 0.5 and 0.6 is 0.575, with 0.1 it is 0.55."""
    first, second, third, fourth = search_trials(tmp_path, prepared_phantom, 8)
    asha = scheduler([first, second, third, fourth])
    assert not tell(asha, first, 1, 0.5), "the first has nobody to be compared with"
    assert not tell(asha, second, 1, 0.6)
    assert tell(asha, third, 1, 0.1)
    assert not tell(asha, fourth, 1, 0.58)
    assert not tell(asha, first, 2, 0.0), "between rungs nobody is compared"
    assert not tell(asha, second, 4, 0.8)
    assert tell(asha, first, 4, 0.7)
    assert not tell(asha, fourth, 8, 0.0), "who has trained all epochs is done"


def test_asha_remembers_what_was_finished_before(prepared_phantom: Path, tmp_path: Path) -> None:
    trials = search_trials(tmp_path, prepared_phantom, 8)
    score = record_trial(trials[0], prepared_phantom).epoch_table["val/cb_dice"].iloc[0]
    asha = scheduler(trials)
    assert tell(asha, trials[1], 1, score - 0.01)
    assert not tell(asha, trials[2], 1, score + 0.01)


def test_asha_may_stop_proposals_alone(prepared_phantom: Path, tmp_path: Path) -> None:
    trials = search_trials(tmp_path, prepared_phantom, 8)
    other = plan(tiny(tmp_path), prepared_phantom, tmp_path / "trials")[0]
    asha = scheduler(trials)
    tell(asha, trials[0], 1, 0.9)
    assert not tell(asha, other, 1, 0.1)


def test_the_word_to_stop_is_on_disk(prepared_phantom: Path, tmp_path: Path) -> None:
    trial = search_trials(tmp_path, prepared_phantom, 8)[0]
    unfinished = Unfinished(unfinished_folder(trial.folder))
    assert not unfinished.stopped(8)
    unfinished.stop(3)
    assert [unfinished.stopped(epochs) for epochs in (2, 3, 4)] == [False, True, True]
    unfinished.remove()
    assert not unfinished.stopped(3)
    assert not unfinished.left


def test_a_machine_that_is_too_small_or_gone_is_none_to_go_to() -> None:
    """A trial that its machine failed would wait there for ever."""
    nodes = [
        {"NodeID": "head", "Alive": True, "Resources": {"memory": 8e9}},
        {"NodeID": "gone", "Alive": False, "Resources": {"CPU": 4.0, "GPU": 1.0}},
        {"NodeID": "cores", "Alive": True, "Resources": {"CPU": 2.0}},
        {"NodeID": "both", "Alive": True, "Resources": {"CPU": 1.0, "GPU": 1.0}},
    ]
    assert able(nodes, {"CPU": 1, "GPU": 0}) == {"cores", "both"}
    assert able(nodes, {"CPU": 2, "GPU": 0}) == {"cores"}
    assert able(nodes, {"CPU": 1, "GPU": 0.5}) == {"both"}
