"""What the grid costs beside training: a thousand trials with next to nothing to train, and 10,000 cells on paper.

    python -m benchmarks.overhead

Prints tables, writes benchmarks/results/overhead.json. The thousand trials go the whole way (queue, Ray Tune, worker,
records, MLflow): one image of 16 x 16 pixels a split, one epoch, one step. What the same trainings take in a plain loop
is measured too; the rest is the grid's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dmf.training.trial import train
from pipelines.artifacts import arrays
from pipelines.datasets.params import FilterParams, SplitParams
from pipelines.grid.estimate import from_finished
from pipelines.grid.inputs import load_inputs
from pipelines.grid.run import run_grid
from pipelines.grid.status import grid_status
from pipelines.status import print_status
from pipelines.trials.plan import PlannedTrial, plan
from pipelines.trials.record import DONE
from tune_spaces import Study

RESULTS = Path(__file__).parent / "results" / "overhead.json"
SIDE = 16
WORKERS = 2
PLAIN = 100
"""Trainings in the plain loop."""


def study(name: str, seeds: int, configurations: int) -> Study:
    """A grid of so many learning rates, with the smallest network there is."""
    return Study(
        name=name,
        title=name,
        datasets=["dot"],
        seeds=seeds,
        trial={
            "model_params": {"base_filters": 1},
            "losses": ["cross_entropy"],
            "weighting": "fixed",
            "auxiliary": None,
            "image_size": SIDE,
            "epochs": 1,
            "batch_size": 1,
        },
        grid=[{"learning_rate": [1e-3 * (1 + number) for number in range(configurations)]}],
        baseline={"learning_rate": 1e-3},
    )


def write_dots(root: Path) -> None:
    """A prepared data set of three images, one a split."""
    folder = root / "arrays" / "dot"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 255, (3, 1, SIDE, SIDE), dtype=np.uint8)
    for name, array in zip(arrays.FILES, (images, images, (images[:, 0] > 127).astype(np.uint8)), strict=True):
        np.save(folder / name, array)
    sides = ["train", "val", "test"]
    cases = dict.fromkeys(arrays.COLUMNS, sides) | {"fold": [2, 1, 0]}
    pd.DataFrame(cases).to_csv(folder / arrays.CASES, index=False)
    sha256 = {name: arrays.file_checksum(folder / name) for name in (*arrays.FILES, arrays.CASES)}
    meta = arrays.Meta(
        dataset="dot", task="segmentation", classes=("background", "lesion"), labels=("dot",), channels=1,
        spatial=(SIDE, SIDE), split=SplitParams(), filter=FilterParams(), sha256=sha256,
        checksum=arrays.joint_checksum(sha256), reduced=None, terms="none", citation="none",
    )  # fmt: skip
    (folder / arrays.META).write_text(meta.model_dump_json())


def thousand_trials(root: Path, trials: int) -> dict[str, Any]:
    """The whole way against a plain loop over the same trainings."""
    small = study("overhead", seeds=10, configurations=trials // 10)
    planned = plan(small, root, root / "trials")
    begun = time.perf_counter()
    failures = run_grid(small, planned, root, f"sqlite:///{root / 'mlflow.db'}", WORKERS)
    grid = time.perf_counter() - begun
    written = sorted((trial.folder / DONE).stat().st_mtime for trial in planned)
    begun = time.perf_counter()
    data = load_inputs(root, "dot", filtered=True).trial_data("default")
    for trial in planned[:PLAIN]:
        train(trial.spec, data)
    plain = (time.perf_counter() - begun) / PLAIN
    return {
        "trials": len(planned) - len(failures),
        "workers": WORKERS,
        "ms a trial, all in all": 1e3 * grid / len(planned),
        "ms a trial, from the first to the last": 1e3 * (written[-1] - written[0]) / (len(planned) - 1),
        "of which a plain loop takes, ms": 1e3 * plain,
    }


def ten_thousand_cells(root: Path) -> dict[str, Any]:
    """Enumeration, status and estimate; half of the cells are done."""
    large = study("cells", seeds=10, configurations=1000)
    begun = time.perf_counter()
    planned = plan(large, root, root / "trials")
    enumerated = time.perf_counter() - begun
    for trial in planned[::2]:
        pretend(trial)
    begun = time.perf_counter()
    status = grid_status(plan(large, root, root / "trials"))
    print_status(large.name, status)
    shown = time.perf_counter() - begun
    begun = time.perf_counter()
    from_finished([trial for trial in planned if trial.identifier in status.done])
    return {
        "cells": len(planned),
        "enumeration, s": enumerated,
        "enumeration and status, s": shown,
        "estimate, s": time.perf_counter() - begun,
    }


def pretend(trial: PlannedTrial) -> None:
    """What status reads of a finished trial."""
    trial.folder.mkdir(parents=True)
    (trial.folder / DONE).write_text(json.dumps({"seconds": 1.0, "epochs": 1}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="trials of next to no work (default: 1000)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        write_dots(Path(scratch))
        tables = {
            "ten thousand cells": ten_thousand_cells(Path(scratch)),
            "trials of no work": thousand_trials(Path(scratch), options.trials),
        }
    for title, table in tables.items():
        print(f"\n{title}")
        for name, value in table.items():
            print(f"  {name:42} {value:10.3f}")
    RESULTS.write_text(json.dumps({"cores": os.cpu_count(), **tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
