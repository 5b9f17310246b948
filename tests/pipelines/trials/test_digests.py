"""Digests of a trial: equal for equal runs however they were run, and different where the runs are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dmf.training.trial import Trial
from pipelines.grid import attempt as attempts
from pipelines.trials.digests import PAIRED, Digests, epoch_digests, predictions_digest, steps_digest, weights_digest
from pipelines.trials.plan import PlannedTrial, plan
from pipelines.trials.record import TrialRecord, read_trial
from tests.support.attempts import attempt_of, record_trial, train_side_by_side
from tests.support.grids import tiny
from tests.support.toy import EVERYTHING, toy_data, toy_spec

FOUR = {"epochs": 4, "augmentation": {"horizontal_flip": 0.5, "noise": 0.1}}


@pytest.fixture
def planned(tmp_path: Path, prepared_phantom: Path) -> list[PlannedTrial]:
    """Two weightings, two seeds, four epochs, augmented."""
    return plan(tiny(tmp_path, trial=FOUR), prepared_phantom, tmp_path / "trials")


def elsewhere(trial: PlannedTrial, name: str) -> PlannedTrial:
    return replace(trial, folder=trial.folder.parents[2] / name / "tiny" / trial.identifier)


def test_a_plain_a_resumed_and_a_packed_run_agree(
    planned: list[PlannedTrial], prepared_phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = record_trial(planned[0], prepared_phantom)
    packed = [elsewhere(trial, "packed") for trial in planned[:2]]
    train_side_by_side([attempt_of(trial, prepared_phantom) for trial in packed])
    monkeypatch.setattr(attempts, "SHARE", 1e9)  # the state is saved after every epoch
    resumed = elsewhere(planned[0], "resumed")
    for _ in range(2):  # each is given up after an epoch
        broken = attempt_of(resumed, prepared_phantom)
        train_side_by_side([broken], epochs=1)
        broken.close()
    again = record_trial(resumed, prepared_phantom)
    assert [start.after_epochs for start in again.attempts] == [0, 1, 2]
    assert plain.digests == read_trial(packed[0].folder).digests == again.digests


def test_runs_that_differ_in_their_weighting_alone_have_the_same_beginning_order_and_draws(
    planned: list[PlannedTrial], prepared_phantom: Path
) -> None:
    records = {(t.spec.weighting, t.spec.seed): record_trial(t, prepared_phantom).digests for t in planned}
    assert same(records["mad", 0], records["fixed", 0]) == set(PAIRED)
    assert same(records["mad", 1], records["fixed", 1]) == set(PAIRED)
    assert same(records["mad", 0], records["mad", 1]) == set()


def same(one: Digests, other: Digests) -> set[str]:
    return {name for name in Digests.model_fields if getattr(one, name) == getattr(other, name)}


def test_a_record_is_what_its_digests_say(planned: list[PlannedTrial], prepared_phantom: Path) -> None:
    record: TrialRecord = record_trial(planned[0], prepared_phantom)
    assert steps_digest(record.history) == record.digests.steps
    rows, masks = np.array([*record.predictions]), np.stack([*record.predictions.values()])
    assert predictions_digest(rows, masks) == record.digests.predictions
    assert weights_digest(torch.load(record.folder / "model.pt")) == record.digests.weights


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"seed": 1}, {"order", "augmentation", "weights"}),
        ({"batch_size": 6}, {"order", "weights"}),
        ({"augmentation": {**EVERYTHING, "noise": 0.2}}, {"augmentation", "weights"}),
        ({"learning_rate": 0.02}, {"weights"}),
        ({"losses": ("dice", "iou")}, {"weights"}),
    ],
)
def test_digests_of_an_epoch_tell_what_was_changed(changed: dict[str, object], expected: set[str]) -> None:
    def digests(**changes: object) -> dict[str, str]:
        trial = Trial(toy_spec(**{"augmentation": EVERYTHING, "fidelity": "stable"} | changes), toy_data())
        trial.epoch()
        return epoch_digests(trial)

    plain, other = digests(), digests(**changed)
    assert {name.removeprefix("digest/") for name in plain if plain[name] != other[name]} == expected


def test_a_bit_a_name_and_a_type_count_and_the_order_of_memory_does_not() -> None:
    state = {"w": torch.arange(24.0).view(1, 2, 3, 4)}
    plain = weights_digest(state)
    assert weights_digest({"w": state["w"].contiguous(memory_format=torch.channels_last)}) == plain
    flipped = state["w"].clone()
    flipped.view(torch.int32)[0, 0, 0, 0] ^= 1
    others = [{"w": flipped}, {"v": state["w"]}, {"w": state["w"].double()}, {"w": state["w"].view(2, 1, 3, 4)}]
    assert len({plain, *map(weights_digest, others)}) == 5


def test_steps_are_told_apart_by_one_bit_of_one_loss() -> None:
    names = ("step", "epoch", "total", "gamma", "auxiliary", "loss/dice", "weight/dice")
    frame = pd.DataFrame({name: np.arange(3, dtype=np.float32) for name in names})
    other = frame.copy()
    other.loc[1, "loss/dice"] = np.nextafter(np.float32(1), np.float32(2))
    assert steps_digest(frame) != steps_digest(other)
    assert steps_digest(frame[[*reversed(names)]]) == steps_digest(frame)
