"""One trial: what it learns, what it keeps, and that it does the same again."""

from __future__ import annotations

import dataclasses
import gc
import math
import weakref

import numpy as np
import pytest
import torch

from dmf.training.diagnostics import RANDOM_START
from dmf.training.evaluation import Predictions
from dmf.training.results import EpochReport, TrainingDiverged, TrialResult
from dmf.training.trial import Trial, train
from tests.support.toy import toy_data, toy_labels, toy_spec, toy_volumes


@pytest.fixture(scope="module")
def data():
    return toy_data()


def test_it_learns_to_find_bright_squares(data) -> None:
    result = train(toy_spec(epochs=30, learning_rate=1e-2), data)
    assert result.test["per_image"]["dice"] > 0.9


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_to_find_them_in_volumes(precision: str) -> None:
    volumes = {"model": "unet3d", "model_params": {"base_filters": 4, "depth": 1}, "augmentation": {"depth_flip": 0.5}}
    result = train(toy_spec(**volumes, epochs=30, batch_size=2, learning_rate=1e-2, precision=precision), toy_volumes())
    assert result.test["per_image"]["dice"] > 0.7
    assert result.predictions.shape == (2, 8, 16, 16)
    assert result.confusion.sum() == 2 * 8 * 16 * 16


def test_the_same_spec_gives_the_same_result_bit_for_bit(data) -> None:
    reports: tuple[list[EpochReport], list[EpochReport]] = [], []
    first, again = (train(toy_spec(), data, on_epoch=kept.append) for kept in reports)
    for a, b in zip(*reports, strict=True):
        for name in a.steps:
            np.testing.assert_array_equal(a.steps[name], b.steps[name])
    assert first.test == again.test
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)


@pytest.mark.parametrize("weighting", ["variance", "mad", "bayesian", "fixed"])
def test_runs_are_paired_across_weightings(data, weighting: str) -> None:
    params = {} if weighting == "fixed" else {"history_size": 4}
    one = Trial(toy_spec(), data)
    other = Trial(toy_spec(weighting=weighting, weighting_params=params, auxiliary=None), data)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))
    loss = "loss/cross_entropy"
    assert one.epoch().steps[loss][0] == other.epoch().steps[loss][0], "the first batch must be the same images"


def test_another_seed_gives_other_initial_weights(data) -> None:
    one, other = Trial(toy_spec(seed=0), data), Trial(toy_spec(seed=1), data)
    assert not all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


def test_training_leaves_the_callers_generator_and_settings_alone(data) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(toy_spec(epochs=1), data)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_epoch_reports_every_step(data) -> None:
    trial = Trial(toy_spec(losses=("cross_entropy", "dice"), auxiliary="tversky"), data)
    steps = trial.epoch().steps
    expected = {"total", "gamma", "auxiliary", "loss/cross_entropy", "loss/dice", "weight/cross_entropy", "weight/dice"}
    assert set(steps) == expected
    assert {len(values) for values in steps.values()} == {trial.steps_per_epoch} == {3}


def test_the_total_is_what_equation_1_says(data) -> None:
    steps = Trial(toy_spec(), data).epoch().steps
    weighted = sum(steps[f"weight/{name}"] * steps[f"loss/{name}"] for name in ("cross_entropy", "iou", "dice"))
    np.testing.assert_allclose(steps["total"], weighted + steps["gamma"] * steps["auxiliary"], rtol=1e-5)


def test_the_best_epoch_by_the_named_metric_is_tested(data) -> None:
    reports: list[EpochReport] = []
    result = train(toy_spec(epochs=5, selection="dice", learning_rate=1e-2), data, on_epoch=reports.append)
    scores = [report.validation["dice"] for report in reports]
    assert result.best_epoch == int(np.argmax(scores))
    assert result.validation["reference"]["dice"] == pytest.approx(max(scores), abs=1e-6)
    assert train(toy_spec(epochs=5, selection="last"), data).best_epoch == 4


def test_a_result_keeps_every_test_image(data) -> None:
    result = train(toy_spec(epochs=1), data)
    assert result.rows.tolist() == data.rows["test"].tolist()
    assert result.predictions.shape == (6, 16, 16)
    assert {len(values) for values in result.images.values()} == {6}
    assert {"dice", "iou", "hd95", "hausdorff"} <= set(result.images)


def test_distances_are_told_in_pixels_of_the_original_too() -> None:
    """A pixel that stands for 3 rows and 2 columns: found 4 rows down and 3 columns on, it is sqrt(12² + 6²) away."""
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 0] = 1
    target = torch.zeros(2, 8, 8, dtype=torch.uint8)
    target[:, 1, 1] = 1
    logits[:, 1, 5, 4] = 2
    found = Predictions.of(logits, target).images(np.array([[3.0, 2.0], [1.0, 1.0]]))
    assert found["hausdorff"].tolist() == [5, 5]
    assert found["hausdorff_original"].tolist() == pytest.approx([math.hypot(12, 6), 5])


def test_an_image_that_is_ignored_as_a_whole_counts_in_no_mean(data) -> None:
    targets = data.targets.clone()
    first, *others = data.rows["test"].tolist()
    targets[first] = 255
    result = train(toy_spec(epochs=1), dataclasses.replace(data, targets=targets, ignore_index=255))
    assert result.images["hausdorff"][0] == 0
    for name in ("dice", "hausdorff", "hd95"):
        assert result.test["per_image"][name] == pytest.approx(result.images[name][1:].mean())
    assert result.test["per_image"]["images"] == len(others)


def test_a_trial_measures_in_pixels_of_the_original_where_it_is_told_their_size(data) -> None:
    told = train(toy_spec(epochs=1), dataclasses.replace(data, spacing=np.full((len(data.images), 2), 2.5)))
    plain = train(toy_spec(epochs=1), data)
    assert "hausdorff_original" not in plain.images
    assert told.images["hausdorff_original"] == pytest.approx(2.5 * told.images["hausdorff"])
    assert told.test["per_image"]["hd95_original"] == pytest.approx(2.5 * told.test["per_image"]["hd95"])
    assert told.test["per_image"]["dice"] == plain.test["per_image"]["dice"]


def test_what_counts_nowhere_has_no_part_in_any_score() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(0, 3, (2, 8, 8), generator=generator, dtype=torch.uint8)
    target[:, 2:5, 1:6] = 255
    others = logits.clone()
    others[:, :, 2:5, 1:6] = torch.randn(2, 3, 3, 5, generator=generator)
    one, other = (Predictions.of(z, target, 255) for z in (logits, others))
    assert not torch.equal(one.classes, other.classes)
    assert one.summary() == other.summary()
    assert one.confusion().tolist() == other.confusion().tolist()
    assert one.confusion().sum() == 2 * (64 - 15)
    spacing = np.full((2, 2), 1.5)
    for name, values in one.images(spacing).items():
        assert values.tolist() == other.images(spacing)[name].tolist(), name


def test_a_border_that_counts_nowhere_is_neither_trained_on_nor_tested(data) -> None:
    targets = data.targets.clone()
    targets[:, :4] = 255
    void = dataclasses.replace(data, targets=targets, ignore_index=255)
    result = train(toy_spec(epochs=2), void)
    assert np.isfinite([values for scores in result.test.values() for values in scores.values()]).all()
    assert result.confusion.sum() == len(result.rows) * 12 * 16
    trial = Trial(toy_spec(losses=("cross_entropy", "dice"), auxiliary="cb_dice"), void)
    assert {loss.ignore_index for loss in trial.fusion.losses.losses} == {255}


def test_a_result_tells_how_pixels_were_confused(data) -> None:
    result = train(toy_spec(epochs=1), data)
    truth = data.targets[result.rows].numpy()
    for true in range(2):
        for predicted in range(2):
            pixels = ((truth == true) & (result.predictions == predicted)).sum()
            assert result.confusion[true, predicted] == pixels
    assert result.probabilities is None


def classify(**changes: object) -> TrialResult:
    pytest.importorskip("timm")
    return train(toy_spec(model="timm:test_resnet", model_params={}, image_size=32, **changes), toy_labels(size=32))


def test_it_learns_to_tell_images_apart() -> None:
    result = classify(epochs=12, learning_rate=1e-2)
    assert set(result.test) == set(result.validation) == {"macro", "weighted"}
    assert result.test["macro"]["accuracy"] == result.images["correct"].mean() > 0.8


def test_a_classification_keeps_what_roc_curves_and_confusion_matrices_need() -> None:
    result, truth = classify(epochs=1), toy_labels().targets[18:].numpy()
    assert result.predictions.shape == (6,)
    assert result.probabilities is not None
    assert result.probabilities.shape == (6, 3)
    np.testing.assert_allclose(result.probabilities.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(result.probabilities.argmax(1), result.predictions)
    np.testing.assert_array_equal(result.images["probability"], result.probabilities[range(6), truth])
    np.testing.assert_array_equal(result.images["correct"], result.predictions == truth)
    assert result.confusion.sum(1).tolist() == [2, 2, 2]
    assert np.trace(result.confusion) == result.images["correct"].sum()


def test_every_loss_of_the_fusion_paper_classifies() -> None:
    losses = ("tversky", "smooth_l1", "focal", "cross_entropy", "mse", "dice", "binary_cross_entropy")
    result = classify(losses=losses, auxiliary=None, epochs=1, selection="accuracy")
    assert np.isfinite(result.test["weighted"]["precision"])


def test_noise_on_the_test_images_is_scored_beside_them(data) -> None:
    plain = train(toy_spec(epochs=8, learning_rate=1e-2), data)
    noisy = train(toy_spec(epochs=8, learning_rate=1e-2, test_noise=(0.001, 0.8)), data)
    assert set(noisy.test) == {f"{p}{n}" for p in plain.test for n in ("", "@noise=0.001", "@noise=0.8")}
    assert {name: noisy.test[name] for name in plain.test} == plain.test
    little, much = (noisy.test[f"per_image@noise={noise}"]["dice"] for noise in (0.001, 0.8))
    assert little == pytest.approx(plain.test["per_image"]["dice"], abs=0.05)
    assert much < 0.7 * little


def test_all_trials_of_a_seed_are_asked_about_the_same_noise(data) -> None:
    shown = []
    for changes in ({}, {"model_params": {"base_filters": 2}}, {"weighting": "fixed", "weighting_params": {}}):
        trial = Trial(toy_spec(**changes), data)
        trial.model.register_forward_pre_hook(lambda _, images: shown.append(images[0]))
        trial.predict("test", noise=0.1)
    first, others = shown[:2], shown[2:]
    assert all(torch.equal(one, other) for one, other in zip(first * 2, others, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fidelity", ["paper", "reference", "stable"])
def test_every_fidelity_trains_in_every_precision(data, precision: str, fidelity: str) -> None:
    result = train(toy_spec(precision=precision, fidelity=fidelity, epochs=1), data)
    assert np.isfinite(result.test["reference"]["dice"])


def test_divergence_names_the_loss_and_the_step(data) -> None:
    trial = Trial(toy_spec(learning_rate=1e30, optimizer="sgd"), data)
    with pytest.raises(TrainingDiverged, match=r"at step \d+ \(epoch 0\)"):
        trial.epoch()


def test_the_notebooks_infinite_focal_loss_does_not_end_training(data) -> None:
    trial = Trial(toy_spec(fidelity="reference", auxiliary="focal", learning_rate=1e-6), data)
    with torch.no_grad():
        trial.model.head.bias.copy_(torch.tensor([50.0, -50.0]))
    assert np.isinf(trial.epoch().steps["auxiliary"]).all()
    assert not trial.done


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    pytest.importorskip("timm")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


PRETRAINED = {"model": "rfe_unet:resnet10t", "image_size": 32, "epochs": 2}


@pytest.mark.usefixtures("no_network")
def test_a_trial_whose_pretrained_weights_cannot_be_had_does_not_begin() -> None:
    spec = toy_spec(**PRETRAINED, model_params={"fine_filters": 4, "pretrained": True})
    with pytest.raises(ValueError, match=r"Pretrained weights .* cannot be had .*`pretrained: if available`"):
        Trial(spec, toy_data(size=32))


@pytest.mark.usefixtures("no_network")
@pytest.mark.filterwarnings("ignore:Pretrained weights")
def test_a_trial_that_does_without_says_so_wherever_it_goes_on(data) -> None:
    """What happened at its beginning is in its checkpoint and its result; that it was not asked for is not said."""
    spec = toy_spec(**PRETRAINED, model_params={"fine_filters": 4, "pretrained": "if available"})
    trial = Trial(spec, toy_data(size=32))
    trial.epoch()
    resumed = Trial(spec, toy_data(size=32))
    resumed.load_state_dict(trial.state_dict())
    resumed.epoch()
    for found in (trial.findings, resumed.finish().findings):
        assert [(finding.kind, finding.step) for finding in found] == [(RANDOM_START, 0)]
        assert (
            found[0].message
            == "The pretrained weights of rfe_unet:resnet10t could not be had; it began from random ones."
        )
    plain = toy_spec(**PRETRAINED, model_params={"fine_filters": 4})
    assert Trial(plain, toy_data(size=32)).findings == Trial(toy_spec(), data).findings == []
    activated = dataclasses.replace(spec, activation="mittag_leffler", output_activation=True)
    assert [finding.kind for finding in Trial(activated, toy_data(size=32)).findings] == [RANDOM_START]


def test_a_trial_that_is_let_go_leaves_no_memory_behind() -> None:
    """A worker trains one after the other; what only the collector of circles frees would pile up."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        trial = Trial(toy_spec(), toy_data())
        while not trial.done:
            trial.epoch()
        trial.finish()
        parts = [weakref.ref(part) for part in (trial, trial.model, trial.fusion, trial.training_step.optimizer)]
        del trial
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        if collecting:
            gc.enable()
