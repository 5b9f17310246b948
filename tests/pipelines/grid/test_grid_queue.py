"""The grid's rules for what runs next and what a failure means, without Ray."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dmf.training.spec import TrialSpec
from pipelines.grid.queue import DEATHS, TrialQueue
from pipelines.trials.failure import Failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE
from tests.support.grids import planned_trial

SHAPE = Failure("configuration", "RuntimeError: shapes (2, 3) and (4, 5) do not fit")
NAN = Failure("divergence", "TrainingDiverged: `dice` is not finite at step 7")
DIED = Failure("machine", "its worker died")


def planned(folder: Path, rows: str, seeds: int) -> list[PlannedTrial]:
    """Trials `a0`, `b0`, ..., `a1`, ... of rows a, b, ...: in the study's order, seed by seed."""
    return [
        planned_trial(f"{row}{seed}", row, TrialSpec(dataset="phantom", seed=seed), folder)
        for seed in range(seeds)
        for row in rows
    ]


def finish(trial: PlannedTrial) -> None:
    trial.folder.mkdir()
    (trial.folder / DONE).touch()


def take(queue: TrialQueue) -> str | None:
    trial = queue.take()
    return trial.identifier if trial else None


def test_rows_become_complete_one_after_the_other(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "ab", seeds=3))
    order = []
    while trial := queue.take():
        order.append(trial.identifier)
        queue.trained(trial.identifier)
        queue.finished(trial.identifier)
    assert order == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert queue.exhausted


def test_the_row_that_lacks_least_comes_first(tmp_path: Path) -> None:
    trials = planned(tmp_path, "abc", seeds=3)
    for trial in trials:
        if trial.identifier in ("b0", "b2", "c1"):
            finish(trial)
    queue = TrialQueue(trials)
    assert [take(queue) for _ in range(4)] == ["b1", "c0", "c2", "a0"]


def test_of_a_row_that_never_trained_an_epoch_one_trial_runs_at_a_time(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "ab", seeds=2))
    assert [take(queue), take(queue), take(queue)] == ["a0", "b0", None]
    queue.trained("b0")
    assert [take(queue), take(queue)] == ["b1", None]


def test_a_configuration_that_cannot_work_costs_one_trial_and_says_why_of_the_others(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "ab", seeds=3))
    assert take(queue) == "a0"
    assert [trial.identifier for trial in queue.failed("a0", SHAPE)] == ["a1", "a2"]
    assert queue.failures["a0"] == SHAPE
    assert queue.failures["a2"].kind == "skipped"
    assert queue.failures["a2"].error == f"skipped because seed 0 (a0) failed: {SHAPE.error}"
    assert [take(queue), take(queue)] == ["b0", None], "b waits for its first epoch"


def test_a_seed_that_diverges_fails_alone(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "a", seeds=3))
    assert take(queue) == "a0"
    assert queue.failed("a0", NAN) == []
    assert take(queue) == "a1"
    assert set(queue.failures) == {"a0"}


def test_a_configuration_with_a_finished_trial_does_work_so_that_others_fail_alone(tmp_path: Path) -> None:
    trials = planned(tmp_path, "a", seeds=3)
    finish(trials[0])
    queue = TrialQueue(trials)
    assert take(queue) == "a1"
    assert queue.failed("a1", SHAPE) == []
    assert take(queue) == "a2"


def test_a_trial_whose_worker_died_is_next_again(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "ab", seeds=2))
    assert [take(queue), take(queue)] == ["a0", "b0"]
    assert queue.failed("a0", DIED) == []
    assert not queue.exhausted
    assert take(queue) == "a0"


@pytest.mark.parametrize("proven", [False, True])
def test_a_trial_that_never_keeps_its_worker_is_given_up(tmp_path: Path, proven: bool) -> None:
    queue = TrialQueue(planned(tmp_path, "a", seeds=2))
    assert take(queue) == "a0"
    if proven:
        queue.trained("a0")
    for _ in range(DEATHS - 1):
        assert queue.failed("a0", DIED) == []
        assert take(queue) == "a0"
    skipped = queue.failed("a0", DIED)
    assert queue.failures["a0"].error == f"failed by its machine {DEATHS} times with no epoch in between: {DIED.error}"
    assert [trial.identifier for trial in skipped] == ([] if proven else ["a1"])


def test_of_several_deaths_the_one_that_has_a_reason_is_told(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "a", seeds=1))
    reason = Failure("machine", "n1 has other code", node="n1", log="log.txt")
    for number in range(DEATHS):
        assert take(queue) == "a0"
        queue.failed("a0", DIED if number % 2 else reason)
    told = queue.failures["a0"]
    assert told.error == f"failed by its machine {DEATHS} times with no epoch in between: n1 has other code"
    assert told.node == "n1"


def test_an_epoch_between_two_deaths_counts_for_the_trial(tmp_path: Path) -> None:
    queue = TrialQueue(planned(tmp_path, "a", seeds=1))
    for _ in range(3 * DEATHS):
        assert take(queue) == "a0"
        queue.trained("a0")
        queue.failed("a0", DIED)
    assert queue.failures == {}


def test_a_pack_holds_trials_that_see_the_same_images(tmp_path: Path) -> None:
    small, large = planned(tmp_path, "ab", seeds=2), planned(tmp_path, "cd", seeds=2)
    large = [replace(trial, spec=replace(trial.spec, image_size=256)) for trial in large]
    queue = TrialQueue([trial for pair in zip(large, small, strict=True) for trial in pair])
    first = queue.take()
    assert first is not None
    assert first.identifier == "c0"
    assert [trial.identifier for trial in iter(lambda: queue.take(beside=first), None)] == ["d0"]
    for identifier in ("c0", "d0"):
        queue.trained(identifier)
    assert [trial.identifier for trial in iter(lambda: queue.take(beside=first), None)] == ["c1", "d1"]
    assert take(queue) == "a0"
