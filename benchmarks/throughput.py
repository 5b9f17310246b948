"""Trainings per hour: the platform on two cores beside the script that most would write first.

    python -m benchmarks.throughput

Both train the same specs on the same images with the same seeds, batches, losses and weighting, validate every epoch,
test at the end and bring every value of every step into an MLflow store on SQLite. The script
(benchmarks/obvious_script.py) is one process on two threads in float32. The platform is `pipelines.grid`: Ray, two
workers of one thread, bfloat16 in the network, channels last, fused losses and optimiser, resident images, histories
in Parquet and in batches in MLflow. They take turns and the best of each counts. The script's rate counts its training
alone, without imports. The grid's is that of the second half of its trainings, when both workers are busy; starting Ray
and its workers is given by itself. Needs prepared data:
`python -m pipelines.filter --dataset phantom --size 64 128`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table, load
from dmf.training.data import TrialData
from dmf.training.precision import used_precision
from dmf.training.spec import TrialSpec
from pipelines.grid.inputs import load_inputs
from pipelines.grid.run import run_grid
from pipelines.trials.plan import plan
from pipelines.trials.record import DONE, read_trial
from tune_spaces import Study

ROOT = Path(__file__).resolve().parents[1]
DATASET = "phantom"
CORES = 2
SIZES: dict[str, dict[str, Any]] = {
    "quickstart": {"image_size": 64, "batch_size": 8, "epochs": 6, "model_params": {"base_filters": 16}},
    "paper": {"image_size": 128, "batch_size": 32, "epochs": 2, "model_params": {"base_filters": 32}},
    "toy": {"image_size": 16, "batch_size": 8, "epochs": 1, "model_params": {"base_filters": 2}},
}
"""A few epochs at the size of the quickstart and of the DMF paper: many short turns find a quiet moment."""
HISTORY = {"history_size": 10, "history_size_max": 50}
SHARED: dict[str, Any] = {"weighting": "variance", "weighting_params": HISTORY, "tick": 22}


@dataclass(frozen=True)
class Setting:
    data: Path = option(Path("data"), "folder with prepared data")
    sizes: tuple[str, ...] = option(("quickstart", "paper"), "of trainings", tuple(SIZES))
    turns: int = option(2, "of each")
    script: int = option(2, "trainings of the script in a turn")
    grid: int = option(16, "trainings of the platform in a turn")


def run_script(size: str, seeds: range, data: TrialData) -> list[dict[str, float]]:
    """Seconds and test scores of each seed's training."""
    specs = [TrialSpec(dataset=DATASET, seed=seed, **SIZES[size], **SHARED).to_dict() for seed in seeds]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "specs.json").write_text(json.dumps(specs))
        torch.save(data, folder / "data.pt")
        files = [str(folder / file) for file in ("specs.json", "data.pt", "mlflow.db", "scores.json")]
        environment = {**os.environ, "OMP_NUM_THREADS": str(CORES), "MLFLOW_DISABLE_TELEMETRY": "true"}
        command = [sys.executable, "-m", "benchmarks.obvious_script", *files]
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
        return json.loads((folder / "scores.json").read_text())


def run_platform(size: str, seeds: int, data: Path, precision: str = "auto") -> dict[str, Any]:
    """Seconds a training once both workers are busy, those until the first epoch could begin, and test scores."""
    study = Study(
        name="throughput",
        title="Throughput",
        datasets=[DATASET],
        seeds=seeds,
        trial={**SIZES[size], "precision": precision},
        grid=[SHARED],
        baseline={"weighting": "variance"},
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planned = plan(study, data, folder / "trials")
        started = time.time()
        if failed := run_grid(study, planned, data, f"sqlite:///{folder / 'mlflow.db'}", workers=CORES):
            raise SystemExit(f"error: trials failed: {failed}")
        ended = time.time()
        finished = sorted((trial.folder / DONE).stat().st_mtime for trial in planned)
        half = len(planned) // 2
        seconds = (finished[-1] - finished[half - 1]) / (len(planned) - half)
        dice = [read_trial(trial.folder).test["per_image"]["dice"] for trial in planned]
        return {"seconds": seconds, "around": ended - started - seconds * len(planned), "dice": dice}


def compare(size: str, setting: Setting) -> list[dict[str, Any]]:
    """Rates and scores at one size: a row for the script, the platform, and the platform in the script's precision."""
    spec = TrialSpec(dataset=DATASET, seed=0, **SIZES[size], **SHARED)
    tensors = load_inputs(setting.data, spec).trial_data(spec.split).to(torch.device("cpu"))
    script, grid = [], []
    for turn in range(setting.turns):
        script += run_script(size, range(turn * setting.script, (turn + 1) * setting.script), tensors)
        grid.append(run_platform(size, setting.grid, setting.data))
    same = used_precision("auto", torch.device("cpu")) == "fp32"
    exact = grid[0] if same else run_platform(size, setting.grid, setting.data, precision="fp32")
    scripted = min(training["seconds"] for training in script), [training["dice"] for training in script]
    found = {
        "script": scripted,
        "platform": (min(turn["seconds"] for turn in grid), grid[0]["dice"]),
        "platform, fp32": (exact["seconds"], exact["dice"]),
    }
    return [
        {
            "size": size,
            "who": who,
            "trainings_per_hour": 3600 / seconds,
            "times_the_script": scripted[0] / seconds,
            "test_dice": statistics.mean(dice[: len(script)]),  # of the seeds that all have trained
            "largest_dice_difference_by_seed": max(abs(a - b) for a, b in zip(dice, scripted[1], strict=False)),
            "seconds_around_the_grid": None if who == "script" else statistics.mean(turn["around"] for turn in grid),
        }
        for who, (seconds, dice) in found.items()
    ]


def measure(setting: Setting) -> Results:
    sizes = [{"size": size, **SIZES[size], **SHARED} for size in setting.sizes]
    return {"sizes": sizes, "rows": [row for size in setting.sizes for row in compare(size, setting)]}


def tables(results: Results) -> dict[str, Table]:
    columns = (
        "size: {size} | who: {who} | trainings an hour: {trainings_per_hour:.0f}"
        " | times the script: {times_the_script:.2f} | mean test Dice: {test_dice:.3f}"
        " | largest difference: {largest_dice_difference_by_seed:.3f}"
    )
    return {"throughput": Table.of(results["rows"], columns).noted(load(results))}


main = benchmark("throughput", __doc__, Setting, measure, tables)

if __name__ == "__main__":
    main()
