"""`dvc repro` in a copy of the repository: it reruns what has changed, what a person's own entry says included.

What nobody else may read is planted where people keep it, and looked for in everything that is written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipelines.artifacts.split_table import read_table, table_path
from tests.pipelines.test_own_data import ENTRY, draw
from tests.support.places import ROOT, params_of
from tests.support.secrecy import commands_below, plant, secret, told_in

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


ADDRESS = f"http://ada:{secret()}@127.0.0.1:9"
"""The discard port: nobody answers, which is told."""


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray writes its logs; its sockets have names that must stay short."""
    with tempfile.TemporaryDirectory(prefix="dmf", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def repro(place: Path, ray_folder: Path) -> list[str]:
    """`dvc repro grid`, and the stages that it ran. No process of it may have a secret among its arguments."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        **os.environ,
        **plant(),
        "MLFLOW_TRACKING_URI": ADDRESS,
        "PATH": path,
        "PYTHONPATH": "",
        "DMF_DATA_MIRROR": "",
    }
    environment |= {"DVC_NO_ANALYTICS": "1", "RAY_TMPDIR": str(ray_folder)}
    words = [sys.executable, "-m", "dvc", "repro", "grid"]
    log = place / "said.txt"
    with log.open("a+") as said:
        start = said.tell()
        with subprocess.Popen(words, cwd=place, env=environment, stdout=said, stderr=said) as process:
            while process.poll() is None:
                told = [arguments for arguments in commands_below(process.pid) if secret() in arguments]
                assert not told, told
                time.sleep(0.1)
        said.seek(start)
        text = said.read()
    assert process.returncode == 0, text
    return re.findall(r"Running stage '(\w+)'", text)


def on_two_sides(table: pd.DataFrame) -> int:
    """Patients of whom one image is in train and another in test or val, by the names of their images."""
    return int((table.groupby(table["image"].str.extract(r"(p[a-z0-9]+)_")[0])["split"].nunique() > 1).sum())


def test_a_patient_that_is_added_to_an_entry_splits_anew_and_fetches_nothing(tmp_path: Path, ray_folder: Path) -> None:
    place = tmp_path / "place"
    for package in ("dmf", "pipelines", "tune_spaces"):
        shutil.copytree(ROOT / package, place / package)
    shutil.copy(ROOT / "dvc.yaml", place)
    (place / "params.yaml").write_text(params_of("mine"))
    (place / "tune_spaces/mine.yaml").write_text(STUDY)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=place, check=True)
    draw(place / "scans")
    (place / "data").mkdir()
    (place / "data/catalogue.yaml").write_text(ENTRY)

    assert repro(place, ray_folder) == ["fetch", "audit", "split", "filter", "grid"]
    assert "MLflow at http://***@127.0.0.1:9 is away" in (place / "said.txt").read_text()
    assert told_in([place, ray_folder]) == [], "a secret was written down"
    table = table_path(place / "data", "thyroid")
    assert on_two_sides(read_table(table)) > 0, "nothing says yet who was imaged"
    images = {path: path.stat().st_ino for path in (place / "data/raw").rglob("*.png")}
    trials = {path.name for path in (place / "trials/mine").iterdir()}

    assert repro(place, ray_folder) == [], "nothing has changed"

    (place / "data/catalogue.yaml").write_text(ENTRY + PATIENT)
    assert {"fetch", "split", "filter", "grid"} <= set(repro(place, ray_folder))
    assert on_two_sides(read_table(table)) == 0
    assert {path: path.stat().st_ino for path in (place / "data/raw").rglob("*.png")} == images
    assert len({path.name for path in (place / "trials/mine").iterdir()} - trials) == 1, "it was trained anew"
