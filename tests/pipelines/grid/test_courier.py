"""Machines that share no disk: what one has trained reaches the driver, and another one goes on from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import ray

from benchmarks.chaos import differences
from pipelines.grid import attempt as attempts
from pipelines.grid.attempt import Attempt
from pipelines.grid.courier import Courier, Post, pack, unpack
from pipelines.grid.tuning import proposed
from pipelines.trials.failure import read_failure
from pipelines.trials.plan import PlannedTrial, outline, plan
from pipelines.trials.record import read_trial
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tests.support.attempts import attempt_of, train_side_by_side
from tests.support.grids import tiny

EPOCHS = 6


class Direct:
    """The courier's methods, called at once in the place of Ray's remote calls."""

    def __init__(self, courier: Courier) -> None:
        self.deliver, self.collect, self.stopped = map(Call, (courier.deliver, courier.collect, courier.stopped))


@dataclasses.dataclass
class Call:
    method: Callable[..., object]

    def remote(self, *arguments: object) -> object:
        return self.method(*arguments)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "trials"


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Post]:
    """Machines, each with a disk of its own, and a driver whose disk they do not see."""
    monkeypatch.setattr(ray, "get", lambda answer: answer)
    monkeypatch.setattr(attempts, "SHARE", 1e9)  # every epoch is saved
    return lambda: Post(Direct(Courier(home)))


@pytest.fixture
def planned(prepared_phantom: Path, tmp_path: Path, home: Path) -> PlannedTrial:
    study = tiny(
        tmp_path, seeds=1, grid=[{"weighting": "mad"}], baseline={"weighting": "mad"}, trial={"epochs": EPOCHS}
    )
    (trial,) = plan(study, prepared_phantom, home)
    return trial


def begin(planned: PlannedTrial, data: Path, post: Post) -> Attempt:
    placed = dataclasses.replace(planned, folder=post.trials / planned.folder.parent.name / planned.identifier)
    return attempt_of(placed, data, post=post, home=planned.folder)


def test_a_trial_begun_on_one_machine_is_ended_on_another_and_lies_at_the_driver(
    planned: PlannedTrial, prepared_phantom: Path, tmp_path: Path, machine: Callable[[], Post]
) -> None:
    first, second = machine(), machine()
    train_side_by_side([lost := begin(planned, prepared_phantom, first)], epochs=2)
    lost.close()
    assert Unfinished(unfinished_folder(planned.folder)).progress().epochs_done == 2
    resumed = begin(planned, prepared_phantom, second)
    assert resumed.training.epochs_done == 2
    train_side_by_side([resumed])
    assert planned.done
    assert not [path for path in (first.trials, second.trials) for path in path.glob("tiny/*")], "nothing piles up"
    calm = dataclasses.replace(planned, folder=tmp_path / "calm/tiny" / planned.identifier)
    train_side_by_side([attempt_of(calm, prepared_phantom)])
    assert differences(calm.folder, planned.folder) == []


def test_a_trial_that_asha_stops_ends_where_it_stands_on_a_machine_of_its_own_too(
    prepared_phantom: Path, tmp_path: Path, home: Path, machine: Callable[[], Post]
) -> None:
    """What the machine sends meanwhile takes nothing from the driver's word, and another machine obeys it as well."""
    tuned = {"learning_rate": {"choice": [0.01, 0.02]}, "budget": {"trials": 2}}
    block = {"weighting": "fixed", "auxiliary": None, "tuned": tuned}
    study = tiny(tmp_path, grid=[block], baseline={"tuned": True}, trial={"epochs": EPOCHS})
    (search,) = outline(study, prepared_phantom, home).searches
    trial, *_ = proposed(search)
    first, second = machine(), machine()
    train_side_by_side([lost := begin(trial, prepared_phantom, first)], epochs=1)
    assert not lost.complete
    Unfinished(unfinished_folder(trial.folder)).stop(2)
    assert not lost.complete
    train_side_by_side([lost], epochs=1)
    assert lost.complete
    lost.close()
    resumed = begin(trial, prepared_phantom, second)
    assert resumed.complete
    resumed.finish()
    assert read_trial(trial.folder).epochs == 2


def test_why_a_trial_failed_is_told_at_the_driver(
    planned: PlannedTrial, prepared_phantom: Path, machine: Callable[[], Post]
) -> None:
    failed = begin(planned, prepared_phantom, machine())
    failed.fail(ValueError("a shape that does not fit"))
    failure = read_failure(planned.folder)
    assert failure is not None
    assert failure == failed.failure
    assert failure.log == str(unfinished_folder(planned.folder) / "log.txt")
    assert "a shape that does not fit" in Path(failure.log).read_text()


def test_a_parcel_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    courier, source = Courier(tmp_path / "trials"), tmp_path / "source"
    source.mkdir()
    for name in ("checkpoint.pt", "lock", ".half.partial"):
        (source / name).write_text(name)
    courier.deliver("study/a", pack(source))
    assert [path.name for path in (tmp_path / "trials/study/a").iterdir()] == ["checkpoint.pt"]
    with pytest.raises(Exception, match=r"end of file|truncated|empty"):
        courier.deliver("study/a", pack(source)[:700])
    assert (tmp_path / "trials/study/a/checkpoint.pt").read_text() == "checkpoint.pt"
    assert courier.collect("study/b") is None
    (tmp_path / "other").mkdir()
    unpack(courier.collect("study/a") or b"", tmp_path / "other")
    assert (tmp_path / "other/checkpoint.pt").read_text() == "checkpoint.pt"


def test_what_is_delivered_survives_a_power_cut(tmp_path: Path, disk: list[str]) -> None:
    (source := tmp_path / "source").mkdir()
    (source / "checkpoint.pt").write_text("state")
    Courier(tmp_path / "trials").deliver("study/a", pack(source))
    moved = disk.index("rename .study-a.partial to a")
    assert {"flush checkpoint.pt", "flush .study-a.partial"} <= {*disk[:moved]}
    assert {"flush study", "flush trials"} <= {*disk[moved:]}


@pytest.mark.parametrize("place", ["../elsewhere", "/tmp/elsewhere", "study/../..", "."])
def test_nothing_is_written_beside_the_trials(tmp_path: Path, place: str) -> None:
    with pytest.raises(ValueError, match="not a folder of"):
        Courier(tmp_path / "trials").deliver(place, pack(tmp_path))
