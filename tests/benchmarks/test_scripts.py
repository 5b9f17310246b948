"""Every script under benchmarks/ runs, at the size of a toy, and writes what the documents read of it."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.harness.prepared import prepare_phantom
from benchmarks.harness.script import RESULTS, read
from benchmarks.soak import COLOURS, slopes
from pipelines.trials.plan import plan
from tests.support.attempts import record_trial
from tests.support.places import ROOT
from tests.support.toy import toy_data, toy_spec
from tune_spaces import load_study

SIDE = 16
QUICK = {
    "weightings": "--lengths 20 --early 2 --late 20 --batch 1 --side 16 --turns 1 --calls 1",
    "models": "--models unet --batch 1 --turns 1",
    "loading": "--images 16 --side 16 --batch 4 --base-filters 2 --precisions fp32 --turns 1",
    "roofline": "--image-size 16 --base-filters 2 --batch-size 2",
    "recording": "--images 16 --side 16 --batch 4 --turns 1 --calls 3",
    "duplicates": "--images 200 --datasets phantom",
}
SLOW = {
    "report_scale": "--trials 8 --steps 40 --datasets 1 --repeats 2 --images 5",
    "filtering": "--sizes 16 --turns 1 --pooled 4 --counts 60",
}
"""They compile, or start processes."""
CLUSTER = {
    "overhead": "--trials 10 --cells 20 --plain 2",
    "throughput": "--sizes toy --turns 1 --script 1 --grid 2",
}
"""They start Ray."""
MARKS = {"slow": SLOW, "cluster": CLUSTER}
SCRIPTS = {**QUICK, **SLOW, **CLUSTER}
ON_A_GPU = ("losses", "graphs", "packing")
"""What `benchmarks/gpu.sh` measures, and writes under the name of the device."""

ON_DATA = ("duplicates", "throughput")
PARTS = ("documents", "filter_stage", "leakage", "obvious_script", "soak", "stacked")
"""Tested below, beside another, or by another."""

pytestmark = pytest.mark.timeout(1800)  # grids, killed and started again: minutes on a busy machine


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with sixteen pictures of the phantom."""
    root = tmp_path_factory.mktemp("prepared")
    prepare_phantom(root, 16, SIDE)
    return root


def run(name: str, arguments: Iterable[str], out: Path) -> dict[str, Any]:
    """What a script writes."""
    importlib.import_module(f"benchmarks.{name}").main([*arguments, "--out", str(out)])
    (path,) = out.iterdir()
    return read(path)


def shape(value: object) -> object:
    """Names without figures; of a list, those of its first row."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name not in ("machine", "setting")}
    return shape(value[0]) if isinstance(value, list) and value else None


def test_every_script_is_tested() -> None:
    scripts = {path.stem for path in RESULTS.parent.glob("*.py")} - {"__init__"}
    assert scripts == {*SCRIPTS, *ON_A_GPU, *PARTS}


def marked(name: str) -> Any:
    """By what a script takes."""
    return pytest.param(name, marks=[getattr(pytest.mark, mark) for mark in MARKS if name in MARKS[mark]])


@pytest.mark.parametrize("name", [marked(name) for name in SCRIPTS])
def test_a_script_writes_what_its_results_hold(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    data = ["--data", str(request.getfixturevalue("prepared"))] if name in ON_DATA else []
    found = run(name, [*SCRIPTS[name].split(), *data], tmp_path)
    assert found["machine"]["torch"] == torch.__version__
    assert shape(found) == shape(read(RESULTS / f"{name}.json"))


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_at_the_size_of_a_toy(tmp_path: Path) -> None:
    command = [ROOT / "benchmarks/gpu.sh", "--toy", tmp_path]
    done = subprocess.run(command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if re.fullmatch(r"\w+: passed in \d+ s", line)]
    assert [line.partition(":")[0] for line in told] == ["device", *ON_A_GPU, "tests"]
    assert done.stdout == (tmp_path / "gpu.log").read_text()
    for name in ON_A_GPU:
        assert shape(read(tmp_path / f"{name}_cpu.json")) == shape(read(RESULTS / f"{name}_cpu.json"))


def test_leakage_compares_the_trials_of_a_study(prepared: Path, tmp_path: Path) -> None:
    study = {
        "title": "Leakage",
        "datasets": ["phantom"],
        "seeds": 2,
        "trial": {"model_params": {"base_filters": 2}, "image_size": SIDE, "epochs": 1, "batch_size": 8},
        "grid": [{"split": ["random", "grouped"]}],
        "baseline": {"split": "random"},
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(study))
    for trial in plan(load_study("toy", tmp_path), prepared, tmp_path / "trials"):
        record_trial(trial, prepared)
    places = ["--studies", str(tmp_path), "--data", str(prepared), "--trials", str(tmp_path / "trials")]
    found = run("leakage", ["--study", "toy", *places], tmp_path / "out")
    assert shape(found) == shape(read(RESULTS / "leakage_small.json"))
    assert {(row["split"], row["seeds"]) for row in found["per_image"]} == {("random", 2), ("grouped", 2)}


def test_the_obvious_script_scores_every_spec(tmp_path: Path) -> None:
    spec = toy_spec(auxiliary="cb_dice", epochs=1)
    torch.save(toy_data(), tmp_path / "data.pt")
    (tmp_path / "specs.json").write_text(json.dumps([spec.to_dict()]))
    files = [tmp_path / name for name in ("specs.json", "data.pt", "mlflow.db", "scores.json")]
    # A process of its own, as benchmarks.throughput starts it: it points all of MLflow at its store.
    subprocess.run([sys.executable, "-m", "benchmarks.obvious_script", *files], check=True)
    (scores,) = json.loads((tmp_path / "scores.json").read_text())
    assert scores["seed"] == spec.seed
    assert 0 <= scores["dice"] <= 1


@pytest.mark.cluster
def test_soak_samples_every_process_and_fits_their_slopes(prepared: Path, tmp_path: Path) -> None:
    words = ["--minutes", "0.05", "--epochs", "2", "--every", "0.2", "--figure", str(tmp_path / "soak.png")]
    found = run("soak", [*words, "--data", str(prepared)], tmp_path / "out")
    assert [row["process"] for row in found["slopes"]] == ["driver", "workers", "sync", "server", "object store"]
    for sample in found["samples"]:
        assert all(sample[row["process"]]["MiB"] > 0 for row in found["slopes"])
    assert (tmp_path / "soak.png").is_file()


def test_a_slope_is_taken_after_the_warm_up() -> None:
    course = [500.0 if minute < 20 else 100 + minute / 2 for minute in range(101)]
    samples = [{"minute": minute, **{name: {"MiB": held} for name in COLOURS}} for minute, held in enumerate(course)]
    row = slopes(samples, 0.2)[0]
    assert (row["MiB_first"], row["MiB_last"], row["MiB_an_hour"]) == (110, 150, 30)
