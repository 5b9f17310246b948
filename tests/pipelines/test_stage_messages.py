"""What a person reads when a study cannot be used: one message, a non-zero exit, and everything as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commands import run_module
from tests.support.places import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, with studies in which something is wrong and an earlier result."""
    house = tmp_path_factory.mktemp("house")
    for package in ("dmf", "tune_spaces", "pipelines"):
        shutil.copytree(ROOT / package, house / package)
    shutil.copy(ROOT / "params.yaml", house)
    studies = {
        "zero": "extends: smoke\ntrial: {epochs: 0}\n",
        "misspelt": "extends: smoke\nsedes: 3\n",
        "unprepared": "extends: smoke\n",
    }
    for name, text in studies.items():
        (house / "tune_spaces" / f"{name}.yaml").write_text(text)
        earlier = house / "trials" / name / "0123456789abcdef" / "trial.json"
        earlier.parent.mkdir(parents=True)
        earlier.write_text("{}")
    return house


@pytest.mark.parametrize(
    ("stage", "study", "expected"),
    [
        ("fetch", "quikstart", ["no study is called 'quikstart'", "Did you mean `quickstart`?"]),
        ("fetch", "misspelt", ["tune_spaces/misspelt.yaml", "unknown key `sedes`", "Did you mean `seeds`?"]),
        ("grid", "zero", ["tune_spaces/zero.yaml", "`epochs` must be at least 1", "Found 0"]),
        ("grid", "unprepared", ["data/arrays/phantom", "is missing", "dvc repro"]),
        ("report", "zero", ["tune_spaces/zero.yaml", "`epochs`"]),
    ],
)
def test_one_message_and_nothing_changed(house: Path, stage: str, study: str, expected: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (house / "trials").rglob("*")}
    done = run_module(f"pipelines.{stage}", "--study", study, cwd=house)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    for part in expected:
        assert part in done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (house / "trials").rglob("*")}
    assert not (house / "reports").exists()
