"""Packed trials: the results of each are those that it has alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmf.training.packed import PackedTrials, packable, train_epoch
from dmf.training.results import EpochReport, TrainingDiverged, TrialResult
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial, train
from tests.support.toy import toy_data, toy_spec

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
TOLERANCE = {"cpu": 0.0, "cuda": 1e-5}
"""Between a trial in a pack and alone: none on a CPU; on a GPU float32 rounding of kernels in another order."""

MIXED = [
    toy_spec(),
    toy_spec(seed=1, weighting="mad", auxiliary="tversky"),
    toy_spec(weighting="fixed", weighting_params={}, auxiliary=None, losses=("cross_entropy",)),
    toy_spec(weighting="random", weighting_params={}, optimizer="sgd", learning_rate=1e-2),
    toy_spec(weighting="uncertainty", weighting_params={}, model_params={"base_filters": 6}, batch_size=5),
]


@pytest.fixture(scope="module")
def data():
    return toy_data()


def run(pack: PackedTrials) -> tuple[list[list[EpochReport]], list[TrialResult]]:
    reports = []
    while not pack.done:
        reports.append(pack.epoch())
    return reports, pack.finish()  # type: ignore[return-value]


def assert_same(packed: TrialResult, alone: TrialResult, tolerance: float) -> None:
    assert packed.best_epoch == alone.best_epoch
    for name, value in alone.weights.items():  # running statistics of batch norm among them
        torch.testing.assert_close(packed.weights[name], value, rtol=tolerance, atol=tolerance)
    for protocol, scores in alone.test.items():
        assert packed.test[protocol] == pytest.approx(scores, rel=tolerance, abs=tolerance)
    assert packed.findings == alone.findings


@pytest.mark.parametrize("device", DEVICES)
def test_every_trial_ends_as_it_would_alone(data, device: str) -> None:
    alone: list[list[EpochReport]] = [[] for _ in MIXED]
    results = [train(spec, data, device=device, on_epoch=kept.append) for spec, kept in zip(MIXED, alone, strict=True)]
    pack = PackedTrials(MIXED, data, device=device)
    reports, packed = run(pack)
    for index, result in enumerate(results):
        assert_same(packed[index], result, TOLERANCE[device])
        for epoch, report in enumerate(alone[index]):
            for column, values in report.steps.items():  # losses, weights: what the memory holds
                close = {"rtol": TOLERANCE[device], "atol": TOLERANCE[device]}
                np.testing.assert_allclose(reports[epoch][index].steps[column], values, **close)


def test_a_trial_leaves_its_pack_and_goes_on_alone(data) -> None:
    pack = PackedTrials(MIXED[:2], data)
    pack.epoch()
    resumed = Trial(MIXED[1], data)
    resumed.load_state_dict(pack.trials[1].state_dict())
    while not resumed.done:
        resumed.epoch()
    assert_same(resumed.finish(), train(MIXED[1], data), 0.0)


def test_shorter_trials_are_done_sooner(data) -> None:
    pack = PackedTrials([toy_spec(epochs=1), toy_spec(epochs=2)], data)
    first, second = pack.epoch(), pack.epoch()
    assert [report.epoch for report in first if isinstance(report, EpochReport)] == [0, 0]
    assert second[0] is None
    assert pack.done
    assert [result.epochs for result in pack.finish()] == [1, 2]  # type: ignore[union-attr]


def test_a_trial_that_diverges_leaves_the_others_alone(data) -> None:
    wild = toy_spec(learning_rate=1e30, optimizer="sgd")
    reports, results = run(PackedTrials([wild, MIXED[0]], data))
    assert all(isinstance(epoch[0], TrainingDiverged) for epoch in reports)
    assert isinstance(results[0], TrainingDiverged)
    assert_same(results[1], train(MIXED[0], data), 0.0)


def test_the_images_lie_on_the_device_once() -> None:
    pack = PackedTrials([toy_spec(), toy_spec(seed=1)], toy_data())
    assert len({trial.data.images.data_ptr() for trial in pack.trials}) == 1


@pytest.mark.parametrize("change", [{"dataset": "other"}, {"filtered": False}, {"image_size": 8}])
def test_other_images_need_another_pack(data, change: dict[str, object]) -> None:
    (name,) = change
    with pytest.raises(ValueError, match=f"same images. Found `{name}`"):
        PackedTrials([toy_spec(), toy_spec(**change)], data)


def test_packs_keep_the_order_of_their_first_trials() -> None:
    specs: list[TrialSpec] = [toy_spec(seed=n // 2, dataset="ab"[n % 2]) for n in range(6)]
    assert packable(specs, 2) == [[0, 2], [1, 3], [4], [5]]
    assert packable(specs, 1) == [[n] for n in range(6)]
    with pytest.raises(ValueError, match="`size` must be at least 1"):
        packable(specs, 0)
    with pytest.raises(ValueError, match="at least one trial"):
        PackedTrials([], toy_data())


def test_a_pack_of_nothing_trains_nothing() -> None:
    assert train_epoch([]) == []
