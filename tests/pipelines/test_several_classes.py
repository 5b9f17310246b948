"""Several classes and void borders, from a folder of masks to a report and a prediction, by the real commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.artifacts import arrays
from pipelines.artifacts.manifest import read_manifest
from pipelines.datasets.readers.masks import understood
from pipelines.datasets.readers.meaning import VOID
from tests.support.commands import run_module
from tests.support.pictures import save, texture
from tests.support.places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]

ENTRY = """
organs:
  title: Livers with tumours
  task: segmentation
  classes: [background, liver, tumour, vessel]
  labels: [scan]
  channels: 1
  values: {0: background, 1: liver, 2: tumour, 3: vessel, 255: ignore}
  sources: [{kind: local, path: ../scans}]
  terms: For tests.
"""
STUDY = """
title: Organs
datasets: [organs]
seeds: 1
trial:
  {image_size: 32, epochs: 30, batch_size: 8, learning_rate: 0.01, model_params: {base_filters: 8}, auxiliary: null}
grid: [{weighting: fixed}, {weighting: equal}]
baseline: {weighting: fixed}
"""


def draw(folder: Path) -> None:
    """Grey squares with a bright one inside, of which nobody says where they end: the rim of two pixels is void."""
    for number in range(40):
        generator = np.random.default_rng(number)
        top, left, side = *generator.integers(3, 12, 2), 26
        mask = np.zeros((44, 44), np.uint8)
        mask[top - 2 : top + side + 2, left - 2 : left + side + 2] = VOID
        mask[top : top + side, left : left + side] = 1
        mask[top + 8 : top + 18, left + 8 : left + 18] = 2
        shade = np.select([mask == 1, mask == 2, mask == VOID], [110, 200, 80], 0)
        image = np.where(mask, shade + generator.normal(0, 6, mask.shape), texture(number, *mask.shape) / 3)
        save(folder / f"images/{number:02d}.png", image.clip(0, 255).astype(np.uint8))
        save(folder / f"masks/{number:02d}.png", mask)


def test_from_masks_to_a_report_and_a_prediction(tmp_path: Path) -> None:
    draw(tmp_path / "scans")
    shutil.copytree(ROOT / "tune_spaces", tmp_path / "tune_spaces")
    (tmp_path / "tune_spaces/organs.yaml").write_text(STUDY)
    (tmp_path / "params.yaml").write_text("study: organs\nsplit: {similarity: 0.999}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/catalogue.yaml").write_text(ENTRY)
    said = ""
    for stage in ("fetch", "audit", "split", "filter", "grid", "report"):
        done = run_module(f"pipelines.{stage}", "--study", "organs", cwd=tmp_path, DMF_DATA_MIRROR="")
        assert done.returncode == 0, f"{stage}: {done.stdout}{done.stderr}"
        said += done.stdout
    assert "No pixel is vessel, which `classes` of the catalogue declare" in said

    data = arrays.load(tmp_path / "data", "organs", 32)
    assert np.unique(data.targets).tolist() == [0, 1, 2, VOID]
    assert data.meta.ignore_index == VOID

    folders = [path.parent for path in (tmp_path / "trials/organs").glob("*/trial.json")]
    assert len(folders) == 2
    for folder in folders:
        record, images = json.loads((folder / "trial.json").read_text()), pd.read_parquet(folder / "images.parquet")
        rows = np.load(folder / "predictions.npz")["index"]
        confusion = np.array(record["confusion"])
        assert confusion.sum() == np.count_nonzero(data.targets[rows] != VOID), "only what counts is judged"
        assert confusion[3].sum() == 0
        dice = [2 * confusion[c, c] / (confusion[c].sum() + confusion[:, c].sum()) for c in (1, 2)]
        assert min(dice) > 0.8
        if not confusion[:, 3].any():
            assert record["test"]["pooled"]["dice"] == pytest.approx(np.mean(dice)), "and no vessel scores 1"
        assert images["dice"].mean() == pytest.approx(record["test"]["per_image"]["dice"])

    page = (tmp_path / "reports/organs/index.html").read_text()
    assert "Pixels of no known class count nowhere, neither in losses nor in scores." in page
    assert "and what counts nowhere in grey" in page
    assert "missed the liver or the tumour or the vessel (scored 0)" in page
    assert "(scored 1, or left out beside others)" in page

    picture = "scans/images/00.png"
    done = run_module("pipelines.predict", "--trial", folders[0].name, picture, "--out", "found", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("liver", "tumour", "vessel"))
    found = tmp_path / "found/00_mask.png"
    truth = np.asarray(Image.open(tmp_path / "scans/masks/00.png"))
    again = understood(found, read_manifest(tmp_path / "data", "organs").entry.meaning)
    assert np.mean((again == truth)[truth != VOID]) > 0.9, "what is predicted is read as the masks are"
