"""Pictures shown to networks of really trained trials: what is written, printed, and refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient
from PIL import Image

from dmf.training.data import TrialData
from dmf.training.spec import TrialSpec
from dmf.training.trial import train
from pipelines.artifacts import arrays
from pipelines.core.console import StageError
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import Params
from pipelines.datasets.readers.images import load_image
from pipelines.filter.prepare import prepare
from pipelines.predict.__main__ import COMMAND
from pipelines.predict.drawing import colour, mask_picture, overlay_picture
from pipelines.predict.work import find_pictures
from pipelines.predict.work import run as run_command
from pipelines.trials.columns import EpochColumns, HistoryColumns
from pipelines.trials.identity import identifier
from pipelines.trials.mirror import Mirror, origin_of
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.predictor import find_trial, load_predictor
from pipelines.trials.publishing import publish
from pipelines.trials.record import read_trial, record_of, write_trial
from tests.support import formats
from tests.support.audited import audit_and_split
from tests.support.packages import FILES, on_the_path
from tests.support.records import NO_DIGESTS, begun

BUSI = load_catalogue()["busi"]
LABELLED = BUSI.model_copy(update={"task": "classification", "classes": ("benign", "malignant")})
PARAMS = Params(study="quickstart")
SEGMENTATION = TrialSpec(
    dataset="busi", seed=0, model_params={"base_filters": 4}, image_size=24, epochs=3, batch_size=8
)
CLASSIFICATION = dataclasses.replace(SEGMENTATION, model="small_cnn", losses=("cross_entropy",), auxiliary=None)
RAW = "data/raw/busi/Dataset_BUSI_with_GT/benign"


def run_trial(workplace: Path, spec: TrialSpec, entry: DatasetEntry = BUSI) -> Path:
    """Prepare the data, train, and write the trial's folder, each by the code that the stages run."""
    root = workplace / "data"
    audit_and_split(root, entry)
    prepare(entry, root, spec.image_size, PARAMS)
    data = arrays.load(root, "busi", spec.image_size)
    images = torch.tensor(data.filtered if spec.filtered else data.images)
    rows = {split: torch.from_numpy(index) for split, index in data.rows(spec.split).items()}
    result = train(spec, TrialData(images, torch.tensor(data.targets), rows, data.meta.classes))
    name = identifier(spec, data.digest(spec.split, spec.filtered), "code")
    folder = workplace / "trials" / "tiny" / name
    planned = PlannedTrial(name, "alone", spec, "data", "code", folder, data.meta.preparation)
    description = planned.describe("tiny", "abc123")
    record = record_of(folder, description, [begun()], result, NO_DIGESTS, seconds=1.0, steps_per_epoch=1)
    write_trial(record, result, pd.DataFrame(), pd.DataFrame(), data.cases)
    return folder


@pytest.fixture
def predict(workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command in the workplace, in this process; gives what it prints."""

    def run(folder: Path, *arguments: str) -> str:
        monkeypatch.chdir(workplace)
        run_command(COMMAND.parse(["--trial", folder.name[:8], *arguments]))
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("filtered", [True, False])
def test_test_images_are_segmented_as_the_trial_segmented_them(workplace: Path, filtered: bool) -> None:
    folder = run_trial(workplace, dataclasses.replace(SEGMENTATION, filtered=filtered))
    predictor = load_predictor(workplace / "trials", folder.name)
    stored = np.load(folder / "predictions.npz")
    cases = arrays.load(workplace / "data", "busi", 24).cases
    for row, expected in zip(stored["index"], stored["masks"], strict=True):
        picture = load_image(workplace / "data" / "raw" / "busi" / cases["image"][row])
        seen = predictor.prepared(picture)
        assert seen.shape == (1, 1, 24, 24)
        with torch.no_grad():
            found = predictor.network(seen).argmax(1)[0].numpy()
        assert (found == expected).mean() > 0.995  # a batch of one rounds differently
        assert predictor.probabilities(picture).shape == (2, *picture.shape)
        np.testing.assert_allclose(predictor.probabilities(picture).sum(0), 1, rtol=1e-5)


def test_a_picture_on_its_side_is_shown_upright_to_the_network_and_to_the_eye(
    workplace: Path, predict: Callable[..., str]
) -> None:
    """Stored turned, under the orientation that undoes it, in three formats: the same mask, of the upright size."""
    folder = run_trial(workplace, SEGMENTATION)
    upright = load_image(workplace / RAW / "benign (2).png")
    on_side, eighth = upright.T[:, ::-1], 8
    for format in ("PNG", "TIFF"):
        (workplace / f"turned.{format}").write_bytes(formats.stored(np.ascontiguousarray(on_side), format, eighth))
    predict(folder, f"{RAW}/benign (2).png", "turned.PNG", "--out", "a")
    predict(folder, "turned.TIFF", "--out", "b")
    expected = np.asarray(Image.open(workplace / "a/benign (2)_mask.png"))
    for place in ("a", "b"):
        np.testing.assert_array_equal(np.asarray(Image.open(workplace / place / "turned_mask.png")), expected)
    assert expected.shape == upright.shape


@pytest.mark.slow
def test_the_command_writes_a_mask_and_an_overlay_of_each_picture_until_one_cannot_be_read(
    workplace: Path, run_stage_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    folder = run_trial(workplace, SEGMENTATION)
    colours = np.dstack([cv2.imread(str(workplace / RAW / "benign (3).png"), cv2.IMREAD_GRAYSCALE)] * 3)
    cv2.imwrite(str(workplace / "in colour.jpg"), colours)
    (workplace / "spoilt.png").write_bytes(b"no picture")
    run = run_stage_cli("predict", "--trial", folder.name[:8], f"{RAW}/benign (2).png", "in colour.jpg", "spoilt.png")
    assert run.returncode == 1
    assert "error: spoilt.png: cannot be read as a picture" in run.stderr
    assert f"Trial {folder.name}: unet on busi, seed 0" in run.stdout
    out = workplace / "predictions" / folder.name
    names = {"benign (2)": (74, 96), "in colour": (75, 96)}
    assert {path.name for path in out.iterdir()} == {f"{n}_{kind}.png" for n in names for kind in ("mask", "overlay")}
    for name, size in names.items():
        mask = np.asarray(Image.open(out / f"{name}_mask.png"))
        assert mask.shape == size
        assert set(np.unique(mask)) <= {0, 1}
        assert np.asarray(Image.open(out / f"{name}_overlay.png")).shape == (*size, 3)
        assert re.search(rf"{re.escape(name)}\.(png|jpg): lesion {100 * mask.mean():.1f} % of the pixels", run.stdout)


def test_a_folder_stands_for_its_pictures_and_not_for_their_masks(workplace: Path, predict: Callable[..., str]) -> None:
    folder = run_trial(workplace, SEGMENTATION)
    predict(folder, "data/raw/busi", "--out", "elsewhere")
    masks = sorted((workplace / "elsewhere").rglob("*_mask.png"))
    assert len(masks) == 22
    assert masks[0].relative_to(workplace / "elsewhere").parent == Path("Dataset_BUSI_with_GT/benign")


def test_a_classifier_prints_the_classes_with_their_probabilities(workplace: Path, predict: Callable[..., str]) -> None:
    folder = run_trial(workplace, CLASSIFICATION, LABELLED)
    said = predict(folder, f"{RAW}/benign (2).png")
    found = re.findall(r"(benign|malignant) (0\.\d{3}|1\.000)", said)
    assert {name for name, _ in found} == {"benign", "malignant"}
    assert float(found[0][1]) >= float(found[1][1])
    assert sum(float(value) for _, value in found) == pytest.approx(1, abs=0.002)
    assert not (workplace / "predictions").exists()


def test_pictures_are_prepared_as_they_were_in_training(workplace: Path, predict: Callable[..., str]) -> None:
    folder = run_trial(workplace, SEGMENTATION)
    said = predict(folder, f"{RAW}/benign (2).png")
    other = {"study": "quickstart", "filter": {"sigma_range": 90.0}}
    prepare(BUSI, workplace / "data", 24, Params.model_validate(other))
    assert predict(folder, f"{RAW}/benign (2).png") == said
    shutil.rmtree(workplace / "data" / "arrays")
    assert predict(folder, f"{RAW}/benign (2).png") == said


def test_weights_that_are_known_are_not_fetched_first(workplace: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A trial that began from pretrained weights needs neither them nor a network to be shown pictures."""
    pytest.importorskip("timm")
    spec = dataclasses.replace(SEGMENTATION, model="rfe_unet:test_resnet", model_params={"fine_filters": 4}, epochs=1)
    folder = run_trial(workplace, spec)
    record = json.loads((folder / "trial.json").read_text())
    record["spec"]["model_params"]["pretrained"] = True
    (folder / "trial.json").write_text(json.dumps(record))
    recwarn.clear()
    load_predictor(workplace / "trials", folder.name)
    assert not [warning for warning in recwarn if "Pretrained" in str(warning.message)]


# --- what is refused ---


def trial_folder(trials: Path, identifier: str, *, finished: bool = True) -> Path:
    folder = trials / "study" / identifier
    folder.mkdir(parents=True)
    if finished:
        (folder / "trial.json").write_text("{}")
    return folder


def test_a_trial_is_found_by_the_beginning_of_its_identifier(tmp_path: Path) -> None:
    folder = trial_folder(tmp_path, "abcd1234")
    trial_folder(tmp_path, "abff5678")
    assert find_trial(tmp_path, "abc") == folder
    with pytest.raises(StageError, match=r"2 trials begin with 'ab': abcd1234, abff5678\. Write more of it"):
        find_trial(tmp_path, "ab")
    with pytest.raises(StageError, match=r"No trial .* begins with 'x'\. Finished: abcd1234, abff5678"):
        find_trial(tmp_path, "x")


def test_without_trials_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"Finished: none; run `dvc repro grid`"):
        find_trial(tmp_path / "trials", "a")


def test_unfinished_and_failed_trials_are_refused(tmp_path: Path) -> None:
    trial_folder(tmp_path, "aaaa", finished=False)
    with pytest.raises(StageError, match="Trial aaaa has not finished"):
        find_trial(tmp_path, "aa")
    (tmp_path / "study" / "aaaa" / "failure.json").write_text("{}")
    with pytest.raises(StageError, match=r"Trial aaaa failed, see .*failure\.json"):
        find_trial(tmp_path, "aa")


def spoil_record(folder: Path) -> None:
    (folder / "trial.json").write_text("{")


def older_record(folder: Path) -> None:
    record = json.loads((folder / "trial.json").read_text())
    del record["preparation"]
    (folder / "trial.json").write_text(json.dumps(record))


def remove_weights(folder: Path) -> None:
    (folder / "model.pt").unlink()


def cut_weights(folder: Path) -> None:
    (folder / "model.pt").write_bytes((folder / "model.pt").read_bytes()[:100])


def other_weights(folder: Path) -> None:
    torch.save({"head.weight": torch.zeros(3)}, folder / "model.pt")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_record, r"trial\.json is damaged or not a trial's file"),
        (older_record, r"trial\.json is damaged .*`preparation`: Field required.* Delete that folder"),
        (remove_weights, r"model\.pt is missing\. Delete"),
        (cut_weights, r"model\.pt does not fit the network 'unet' of today's code"),
        (other_weights, r"model\.pt does not fit the network 'unet' of today's code for 1 channels and 2 classes"),
    ],
)
def test_a_spoilt_trial_is_one_message(workplace: Path, spoil: Callable[[Path], None], message: str) -> None:
    folder = run_trial(workplace, dataclasses.replace(SEGMENTATION, epochs=1))
    spoil(folder)
    with pytest.raises(StageError, match=message):
        load_predictor(workplace / "trials", folder.name)


def test_networks_for_volumes_are_not_shown_pictures(workplace: Path) -> None:
    folder = run_trial(workplace, dataclasses.replace(SEGMENTATION, epochs=1))
    record = json.loads((folder / "trial.json").read_text())
    record["preparation"]["from_volumes"] = True
    (folder / "trial.json").write_text(json.dumps(record))
    with pytest.raises(StageError, match=r"was trained on busi, which holds volumes\. Only networks for pictures"):
        load_predictor(workplace / "trials", folder.name)


def test_pictures_that_cannot_be_had_are_one_message(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"none\.png: no such file or folder"):
        find_pictures([tmp_path / "none.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(StageError, match=r"empty: no picture in it. Found in .*empty: nothing. Expected \.png, "):
        find_pictures([tmp_path / "empty"])
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(StageError, match=r"a\.png, .*a\.jpg would both be called a\. Rename one"):
        find_pictures([tmp_path / "a.png", tmp_path / "a.jpg"])


# --- drawing ---


@pytest.mark.parametrize("classes", [2, 5])
def test_a_mask_keeps_class_indices_and_is_visible(classes: int, tmp_path: Path) -> None:
    mask = np.arange(classes, dtype=np.uint8).repeat(6).reshape(classes, 6)
    mask_picture(mask, classes).save(tmp_path / "mask.png")
    read = Image.open(tmp_path / "mask.png")
    np.testing.assert_array_equal(np.asarray(read), mask)
    shown = np.asarray(read.convert("RGB"))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == classes
    assert tuple(shown[1, 0]) == ((255, 255, 255) if classes == 2 else colour(1))


def test_an_overlay_tints_inside_outlines_and_leaves_the_rest() -> None:
    picture = np.full((40, 40), 100, dtype=np.uint8)
    mask = np.zeros_like(picture)
    mask[10:30, 10:30] = 1
    drawn: Any = np.asarray(overlay_picture(picture, mask))
    tint = np.array(colour(1))
    np.testing.assert_array_equal(drawn[0, 0], [100, 100, 100])
    np.testing.assert_array_equal(drawn[20, 20], np.rint(0.6 * 100 + 0.4 * tint))
    np.testing.assert_array_equal(drawn[10, 20], tint)
    np.testing.assert_array_equal(np.asarray(overlay_picture(picture, 0 * mask)), np.dstack([picture] * 3))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_mlflow_loads_the_best_model_and_it_answers_as_the_command_does(
    workplace: Path, task: str, tmp_path: Path
) -> None:
    """Also of a network that lies beside the study, uninstalled, where MLflow has nothing else of it."""
    segmented, site = task == "segmentation", tmp_path / "beside"
    site.mkdir()
    (site / "nearby.py").write_text(FILES["parts.py"])
    own = dataclasses.replace(SEGMENTATION, model="nearby.Tiny", model_params={"side": 5})
    with on_the_path(site):
        folder = run_trial(workplace, own) if segmented else run_trial(workplace, CLASSIFICATION, LABELLED)
        predictor = load_predictor(workplace / "trials", folder.name)
        model = published(workplace, folder)
    (site / "nearby.py").unlink()
    with on_the_path(site):
        for name in ("benign (2)", "benign (3)"):
            picture = load_image(workplace / RAW / f"{name}.png")
            expected = predictor.mask(picture) if segmented else predictor.probabilities(picture)
            grey = picture[None, ..., None] if picture.ndim == 2 else picture[None]
            np.testing.assert_array_equal(mlflow.pyfunc.load_model(model).predict(grey)[0], expected)


def published(workplace: Path, folder: Path) -> str:
    """Where MLflow has the model of a trial, which is looked at on the way."""
    columns = (*HistoryColumns.of(read_trial(folder).spec.losses), *EpochColumns.digests, "train_total")
    for name in ("history", "epochs"):
        row = {"step": [0], "epoch": [0], **dict.fromkeys(columns, 1.0)}
        pd.DataFrame(row).to_parquet(folder / f"{name}.parquet")
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    assert Mirror("tiny", uri, origin_of(workplace / "trials")).level(folder.parent) == 1
    figures = workplace / "reports" / "tiny" / "figures"
    figures.mkdir(parents=True)
    Image.new("L", (8, 8)).save(figures / "busi_panel.png")
    said = list(publish(folder.parent, figures.parent, uri))
    assert said[0] == "MLflow has the best model on busi by validation: alone · busi · seed 0"
    assert list(publish(folder.parent, figures.parent, uri)) == said[1:], "once is enough"
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert [file.path for file in client.list_artifacts(run.info.run_id, "report")] == ["report/busi_panel.png"]
    assert run.info.status == "FINISHED"
    assert run.inputs.dataset_inputs[0].dataset.name == "busi"
    mlflow.set_tracking_uri(uri)
    return f"models:/{run.outputs.model_outputs[0].model_id}"
