"""Trainings per hour: the platform on two cores beside the script that most would write first.

    python -m benchmarks.throughput [--data data] [--sizes quickstart paper]

Both train the same specs on the same images with the same seeds, batches, losses and weighting, validate every epoch,
test at the end and bring every value of every step into an MLflow store on SQLite. The script
(benchmarks/obvious_script.py) is one process on two threads in float32. The platform is `pipelines.grid`: Ray, two
workers of one thread, bfloat16 in the network, channels last, fused losses and optimiser, resident images, histories
in Parquet and in batches in MLflow. They take turns and the best of each counts, since whatever else the machine does
only slows them. The script's rate counts its training alone, without imports. The grid's is that of the second half of
its trainings, when both workers are busy; starting Ray and its workers is given by itself. Prints a table and writes
benchmarks/results/throughput.json. Needs prepared data: `dvc repro filter`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from dmf.training.data import SPLITS, TrialData
from dmf.training.spec import TrialSpec
from pipelines.artifacts import arrays
from pipelines.grid.run import run_grid
from pipelines.trials.plan import plan
from tune_spaces import load_study

RESULTS = Path(__file__).parent / "results" / "throughput.json"
ROOT = Path(__file__).resolve().parents[1]
DATASET = "phantom"
CORES = 2
TURNS = 2
GRID_TRAININGS, SCRIPT_TRAININGS = 16, 2
SIZES: dict[str, dict[str, Any]] = {
    "quickstart": {"image_size": 64, "batch_size": 8, "epochs": 6, "model_params": {"base_filters": 16}},
    "paper": {"image_size": 128, "batch_size": 32, "epochs": 2, "model_params": {"base_filters": 32}},
}
"""A few epochs at the size of the quickstart and of the DMF paper: many short turns find a quiet moment."""
SHARED = {"weighting": "variance", "weighting_params": {"history_size": 10, "history_size_max": 50}, "tick": 22}


def specs(size: str, seeds: range) -> list[TrialSpec]:
    return [TrialSpec(dataset=DATASET, seed=seed, **SIZES[size], **SHARED) for seed in seeds]


def run_script(size: str, seeds: range, data: TrialData) -> list[dict[str, float]]:
    """Seconds and test scores of each seed's training."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "specs.json").write_text(json.dumps([spec.to_dict() for spec in specs(size, seeds)]))
        torch.save(data, folder / "data.pt")
        files = [str(folder / file) for file in ("specs.json", "data.pt", "mlflow.db", "scores.json")]
        environment = {**os.environ, "OMP_NUM_THREADS": str(CORES), "MLFLOW_DISABLE_TELEMETRY": "true"}
        command = [sys.executable, "-m", "benchmarks.obvious_script", *files]
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
        return json.loads((folder / "scores.json").read_text())


def run_platform(size: str, seeds: range, data: Path, precision: str = "bf16") -> dict[str, Any]:
    """Seconds a training once both workers are busy, those until the first epoch could begin, and test scores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = {
            "title": "Throughput",
            "datasets": [DATASET],
            "seeds": len(seeds),
            "trial": {**SIZES[size], "precision": precision},
            "grid": [SHARED],
            "baseline": {"weighting": "variance"},
        }
        (folder / "throughput.yaml").write_text(yaml.safe_dump(study))
        loaded = load_study("throughput", folder)
        planned = plan(loaded, data, folder / "trials")
        started = time.time()
        if failed := run_grid(loaded, planned, data, f"sqlite:///{folder / 'mlflow.db'}", workers=CORES):
            raise SystemExit(f"error: trials failed: {failed}")
        ended = time.time()
        finished = sorted((trial.folder / "trial.json").stat().st_mtime for trial in planned)
        half = len(planned) // 2
        seconds = (finished[-1] - finished[half - 1]) / (len(planned) - half)
        scores = [json.loads((trial.folder / "trial.json").read_text())["summary"]["per_image"] for trial in planned]
        return {"seconds": seconds, "around": ended - started - seconds * len(planned), "scores": scores}


def measure(size: str, data: Path) -> dict[str, Any]:
    prepared = arrays.load(data, DATASET)
    rows = {split: torch.tensor(np.flatnonzero(prepared.cases["split"] == split)) for split in SPLITS}
    images, targets = torch.tensor(prepared.filtered), torch.tensor(prepared.targets)
    tensors = TrialData(images, targets, rows, tuple(prepared.meta.classes))
    script, grid = [], []
    for turn in range(TURNS):
        script += run_script(size, range(turn * SCRIPT_TRAININGS, (turn + 1) * SCRIPT_TRAININGS), tensors)
        grid.append(run_platform(size, range(GRID_TRAININGS), data))
    exact = run_platform(size, range(GRID_TRAININGS), data, precision="fp32")
    seconds = {
        "script": min(training["seconds"] for training in script),
        "platform": min(turn["seconds"] for turn in grid),
        "platform, fp32": exact["seconds"],
    }
    same = range(len(script))  # the seeds that all have trained
    scores = {
        "script": [script[seed]["dice"] for seed in same],
        "platform": [grid[0]["scores"][seed]["dice"] for seed in same],
        "platform, fp32": [exact["scores"][seed]["dice"] for seed in same],
    }
    return {
        "size": size,
        "trainings_per_hour": {name: 3600 / value for name, value in seconds.items()},
        "times_the_script": {name: seconds["script"] / value for name, value in seconds.items()},
        "seconds_around_the_grid": statistics.mean(turn["around"] for turn in grid),
        "test_dice": {name: statistics.mean(values) for name, values in scores.items()},
        "largest_dice_difference_by_seed": {
            name: max(abs(a - b) for a, b in zip(values, scores["script"], strict=True))
            for name, values in scores.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with prepared data (default: data)")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="default: all")
    arguments = parser.parse_args()
    rows = [measure(size, arguments.data) for size in arguments.sizes]
    for row in rows:
        print(f"\n{row['size']}: {SIZES[row['size']]}; {row['seconds_around_the_grid']:.0f} s around each grid")
        print(f"{'':>16} {'trainings/h':>12} {'x script':>9} {'test Dice':>10} {'differs at most':>16}")
        for name, rate in row["trainings_per_hour"].items():
            ratio, dice = row["times_the_script"][name], row["test_dice"][name]
            differs = row["largest_dice_difference_by_seed"][name]
            print(f"{name:>16} {rate:12.0f} {ratio:9.2f} {dice:10.3f} {differs:16.4f}")
    machine: dict[str, Any] = {
        "device": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": CORES,
    }
    machine["load"] = round(os.getloadavg()[0], 1)
    setting = {"sizes": SIZES, "shared": SHARED, "dataset": DATASET}
    answer = {"machine": {**machine, "torch": torch.__version__}, "setting": setting, "rows": rows}
    RESULTS.write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
