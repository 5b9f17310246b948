"""A dry run: what would run and for how long, at the cost of no more than it takes to say so."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.artifacts import arrays
from pipelines.grid import estimate
from pipelines.grid.estimate import from_timing, kind, slow_precision
from pipelines.trials.plan import plan
from tests.support.grids import tiny
from tests.support.places import ROOT

COMMAND = """
import runpy, sys
sys.argv = ["grid", "--study", "smoke", "--dry-run", "--workers", "2", "--data", sys.argv[1], "--trials", sys.argv[2]]
runpy.run_module("pipelines.grid", run_name="__main__")
print("loaded:", *sorted({"ray", "mlflow", "torch._dynamo"} & set(sys.modules)))
"""


def test_it_lists_what_would_run_and_loads_nothing_that_only_a_run_needs(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    words = [sys.executable, "-c", COMMAND, str(prepared_phantom), str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *trials, count, cost, loaded = done.stdout.splitlines()
    assert all("  to run   " in line and "· phantom · seed " in line for line in trials)
    assert count == f"{len(trials)} trials: 0 done, {len(trials)} to run"
    assert cost.startswith("about ")
    assert "on 2 workers" in cost
    assert "networks were timed on a few images here, as no trial is finished" in cost
    assert loaded == "loaded:"
    assert not any(tmp_path.iterdir())


def test_every_kind_is_timed_and_costs_grow_with_epochs_and_weights(tmp_path: Path, prepared_phantom: Path) -> None:
    small = plan(tiny(tmp_path, seeds=1), prepared_phantom, tmp_path)[0]
    large = replace(small, spec=replace(small.spec, model_params={"base_filters": 64}))
    found = from_timing([small, large], prepared_phantom, threads=1)
    assert found.costs.keys() == {kind(small.spec), kind(large.spec)}
    assert min(found.seconds(small), found.seconds(large)) > 0
    assert 0 < found.disk_bytes(small) < found.disk_bytes(large)
    longer = replace(small, spec=replace(small.spec, epochs=10 * small.spec.epochs))
    assert found.seconds(longer) == pytest.approx(10 * found.seconds(small))


def test_kinds_that_were_not_timed_count_as_the_others(
    tmp_path: Path, prepared_phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "PATIENCE", 0)
    first = plan(tiny(tmp_path, seeds=1), prepared_phantom, tmp_path)[0]
    other = replace(first, spec=replace(first.spec, batch_size=1))
    found = from_timing([first, other], prepared_phantom, threads=1)
    assert found.costs.keys() == {kind(first.spec)}
    assert found.seconds(other) == found.seconds(first)


@pytest.mark.parametrize(
    ("asked", "native", "speed", "said"),
    [
        (
            "bf16",
            False,
            0.2,
            "warning: [0-9]+ of [0-9]+ trials ask for .* bf16, .* 5.0 times as long as in fp32",
        ),
        ("bf16", None, 0.5, " 2.0 times as long"),
        ("bf16", None, 1.5, "^$"),
        ("bf16", True, 0.2, "^$"),
        ("auto", False, 0.2, "^$"),
    ],
)
def test_a_precision_that_this_cpu_only_imitates_is_warned_of(
    asked: str,
    native: bool | None,
    speed: float,
    said: str,
    tmp_path: Path,
    prepared_phantom: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimate, "computes_bf16", lambda device: native)
    monkeypatch.setattr(estimate, "bf16_speed", lambda device: speed)
    planned = plan(tiny(tmp_path, seeds=3), prepared_phantom, tmp_path)
    asking = [replace(trial, spec=replace(trial.spec, precision=asked)) for trial in planned]
    assert re.search(said, slow_precision(asking, threads=1))


def test_eight_images_in_one_batch_of_eight_are_timed_too(tmp_path: Path, prepared_phantom: Path) -> None:
    """One step an epoch leaves the history of a trial no room for the steps of a timing."""
    trial = plan(tiny(tmp_path, seeds=1), prepared_phantom, tmp_path)[0]
    prepared = arrays.load(prepared_phantom, trial.spec.dataset, trial.spec.image_size)
    whole = len(prepared.rows(trial.spec.split)["train"])
    for size in (whole, whole + 1, 8):
        spec = replace(trial.spec, batch_size=size)
        found = from_timing([replace(trial, spec=spec)], prepared_phantom, threads=1)
        assert found.seconds(replace(trial, spec=spec)) > 0


def test_no_weights_are_fetched_to_time_a_network(
    tmp_path: Path, prepared_phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    trial = plan(tiny(tmp_path, seeds=1), prepared_phantom, tmp_path)[0]
    wished = {"encoder_weights": "imagenet"}
    spec = replace(trial.spec, model="smp:unet/resnet18", model_params=wished, image_size=64)
    assert from_timing([replace(trial, spec=spec)], prepared_phantom, threads=1).costs.keys() == {kind(spec)}
