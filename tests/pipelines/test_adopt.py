"""`python -m pipelines.adopt`: finished trials outlive a change of code that changes no number, and no other change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.grids import STUDY
from tests.support.places import ROOT

TRAIN = """
import sys
from pathlib import Path
from pipelines.trials.plan import plan
from tests.support.attempts import record_trial
from tune_spaces import load_study
for trial in plan(load_study("tiny"), Path(sys.argv[1]), Path("trials")):
    record_trial(trial, Path(sys.argv[1]))
"""
LINE = "gamma = self.gamma0 * torch.exp(-self.tau * (at.float() / unit))"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, prepared_phantom: Path) -> Path:
    """A copy of the repository's code whose study is trained."""
    place = tmp_path_factory.mktemp("adopted") / "place"
    for package in ("dmf", "pipelines", "tune_spaces", "tests"):
        shutil.copytree(ROOT / package, place / package)
    (place / "tune_spaces/tiny.yaml").write_text(yaml.safe_dump(STUDY))
    run(place, "-c", TRAIN, str(prepared_phantom))
    return place


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    """A copy of that."""
    shutil.copytree(trained, tmp_path / "place", symlinks=True)
    return tmp_path / "place"


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in that folder, on its code."""
    environment = {**os.environ, "PYTHONPATH": str(place)}
    done = subprocess.run(
        [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def adopt(place: Path, data: Path) -> subprocess.CompletedProcess[str]:
    return run(place, "-m", "pipelines.adopt", "--study", "tiny", "--why", "renamed a variable", "--data", str(data))


def edit(place: Path, new: str) -> None:
    """Put another line in the place of one that every trial reaches."""
    path = place / "dmf/schedule.py"
    text = path.read_text()
    assert LINE in text
    path.write_text(text.replace(LINE, new))


def records(place: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: json.loads(path.read_text()) for path in place.glob("trials/tiny/*/trial.json")}


def test_a_refactoring_is_carried_over_with_who_when_why_and_which_sample(place: Path, prepared_phantom: Path) -> None:
    before = records(place)
    edit(place, "gamma = torch.exp(-self.tau * (at.float() / unit)) * self.gamma0")
    done = adopt(place, prepared_phantom)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 trials of other code; 2 of them are trained again" in done.stdout
    assert done.stdout.count("\n  bit for bit\n") == 2
    new = {name: record for name, record in records(place).items() if name not in before}
    assert len(new) == 4
    for record in new.values():
        (adopted,) = record["adopted"]
        assert before[adopted["was"]]["spec"] == record["spec"]
        assert before[adopted["was"]]["digests"] == record["digests"]
        assert adopted["why"] == "renamed a variable"
        assert len(adopted["sample"]) == 2
        assert set(adopted["sample"]) <= set(before)
    assert "Nothing to do." in adopt(place, prepared_phantom).stdout


def test_a_changed_constant_is_refused_and_nothing_is_taken_over(place: Path, prepared_phantom: Path) -> None:
    before = records(place)
    edit(place, LINE.replace("self.gamma0", "1.001 * self.gamma0"))
    done = adopt(place, prepared_phantom)
    assert done.returncode == 1
    assert "steps, first at epoch 0, step 0, total (" in done.stdout
    assert "Nothing was taken over." in done.stderr
    assert records(place) == before


def test_without_a_change_there_is_nothing_to_do(place: Path, prepared_phantom: Path) -> None:
    assert "Nothing to do." in adopt(place, prepared_phantom).stdout


def test_nothing_is_taken_over_unseen(place: Path) -> None:
    done = run(place, "-m", "pipelines.adopt", "--study", "tiny", "--why", "trust me", "--sample", "0")
    assert done.returncode == 1
    assert "--sample is 0, expected at least 1: nothing is taken over unseen." in done.stderr
