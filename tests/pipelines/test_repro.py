"""`dvc repro` in a copy of the repository: it reruns what has changed, what a person's own entry says included."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines.artifacts.split_table import read_table, table_path
from tests.pipelines.test_own_data import ENTRY, draw
from tests.support.places import ROOT, params_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]  # all stages but the report, twice

STUDY = """
title: Mine
datasets: [thyroid]
seeds: 1
trial: {image_size: 16, epochs: 1, batch_size: 8, model_params: {base_filters: 2}, auxiliary: null}
grid: [{weighting: fixed}]
baseline: {weighting: fixed}
"""
PATIENT = "  patient: ^(p[a-z0-9]+)_\n"


def repro(place: Path) -> list[str]:
    """`dvc repro grid`, and the stages that it ran."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": "", "DMF_DATA_MIRROR": "", "DVC_NO_ANALYTICS": "1"}
    words = [sys.executable, "-m", "dvc", "repro", "grid"]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(\w+)'", done.stdout)


def on_two_sides(table: pd.DataFrame) -> int:
    """Patients of whom one image is in train and another in test or val, by the names of their images."""
    return int((table.groupby(table["image"].str.extract(r"(p[a-z0-9]+)_")[0])["split"].nunique() > 1).sum())


def test_a_patient_that_is_added_to_an_entry_splits_anew_and_fetches_nothing(tmp_path: Path) -> None:
    place = tmp_path / "place"
    for package in ("dmf", "pipelines", "tune_spaces"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", place)
    (place / "params.yaml").write_text(params_of("mine"))
    (place / "tune_spaces/mine.yaml").write_text(STUDY)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=place, check=True)
    draw(place / "scans")
    (place / "data").mkdir()
    (place / "data/catalogue.yaml").write_text(ENTRY)

    assert repro(place) == ["fetch", "audit", "split", "filter", "grid"]
    table = table_path(place / "data", "thyroid")
    assert on_two_sides(read_table(table)) > 0, "nothing says yet who was imaged"
    images = {path: path.stat().st_ino for path in (place / "data/raw").rglob("*.png")}
    trials = {path.name for path in (place / "trials/mine").iterdir()}

    assert repro(place) == [], "nothing has changed"

    (place / "data/catalogue.yaml").write_text(ENTRY + PATIENT)
    assert {"fetch", "split", "filter", "grid"} <= set(repro(place))
    assert on_two_sides(read_table(table)) == 0
    assert {path: path.stat().st_ino for path in (place / "data/raw").rglob("*.png")} == images
    assert len({path.name for path in (place / "trials/mine").iterdir()} - trials) == 1, "it was trained anew"
