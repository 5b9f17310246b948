"""`dmf.load_predictor` opens what the platform left of a trial, and what is exported from it answers alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import dmf
from dmf.training.spec import TrialSpec
from tests.support.toy import toy_data, toy_labels, toy_spec
from tests.support.trained import Trained, trained

BATCH = {"images": {0: torch.export.Dim("batch")}}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("trials") / "tiny" / "abcd", toy_spec(epochs=1), toy_data())


def test_it_answers_as_the_trial_was_tested(trial: Trained, tmp_path: Path) -> None:
    for name in ("trial.json", "model.pt"):
        shutil.copy(trial.folder / name, tmp_path)
    predictor = dmf.load_predictor(tmp_path)
    np.testing.assert_array_equal(predictor.mask(trial.images).numpy(), trial.predictions)
    assert predictor.classes == ("background", "lesion")
    torch.testing.assert_close(predictor(trial.images).sum(1), torch.ones(6, 16, 16))
    assert not predictor.training


def test_a_classifier_says_the_class_of_each_image(tmp_path: Path) -> None:
    spec = toy_spec(model="small_cnn", model_params={}, losses=("cross_entropy",), weighting="fixed", epochs=1)
    spec = TrialSpec.from_dict(spec.to_dict() | {"weighting_params": {}, "auxiliary": None, "selection": "last"})
    trial = trained(tmp_path / "tiny" / "abcd", spec, toy_labels())
    predictor = dmf.load_predictor(trial.folder)
    assert predictor(trial.images).shape == (6, 3)
    np.testing.assert_array_equal(predictor.mask(trial.images).numpy(), trial.predictions)


def test_torch_export_gives_the_same_mask(trial: Trained, tmp_path: Path) -> None:
    """For a batch of any size, from a file that needs nothing of `dmf`."""
    predictor = dmf.load_predictor(trial.folder)
    torch.export.save(torch.export.export(predictor, (trial.images[:2],), dynamic_shapes=BATCH), tmp_path / "net.pt2")
    exported = torch.export.load(tmp_path / "net.pt2").module()
    for batch in (trial.images, trial.images[:1]):
        probabilities = exported(batch)
        torch.testing.assert_close(probabilities, predictor(batch), rtol=0, atol=1e-5)
        assert torch.equal(probabilities.argmax(1), predictor.mask(batch))


def no_weights(folder: Path) -> None:
    (folder / "model.pt").unlink()


def no_record(folder: Path) -> None:
    (folder / "trial.json").write_text("{}")


def another_spec(folder: Path) -> None:
    record = json.loads((folder / "trial.json").read_text())
    (folder / "trial.json").write_text(json.dumps(record | {"spec": record["spec"] | {"colour": "red"}}))


def other_weights(folder: Path) -> None:
    torch.save({"head.weight": torch.zeros(3)}, folder / "model.pt")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_weights, r"model\.pt is missing\. Expected a finished trial's trial\.json and model\.pt"),
        (no_record, r"trial\.json is no record of a trial that this version reads \(KeyError: 'spec'\)"),
        (another_spec, r"trial\.json is no record .* unexpected keyword argument 'colour'"),
        (other_weights, r"model\.pt does not fit the network 'unet' of today's code for 1 channels and 2 classes"),
    ],
)
def test_a_spoilt_folder_is_one_message(
    trial: Trained, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = shutil.copytree(trial.folder, tmp_path / "copy")
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        dmf.load_predictor(folder)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 1, 16, 16), r"Parameter `images` must be uint8, intensities from 0 to 255\. Found torch\.flo"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), r"Parameter `images` must have shape \(1,\)\. Found \(3,\)"),
    ],
)
def test_images_of_another_kind_are_refused(trial: Trained, images: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dmf.load_predictor(trial.folder)(images)
