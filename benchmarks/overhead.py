"""What the grid costs beside training: a thousand trials with next to nothing to train, and 10,000 cells on paper.

    python -m benchmarks.overhead

The thousand trials go the whole way (queue, Ray Tune, worker, records, MLflow): a dozen images of 16 x 16 pixels, one
epoch, one step. What the same trainings take in a plain loop is measured too; the rest is the grid's.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.measure import Stopwatch, seconds
from benchmarks.harness.prepared import prepare_phantom
from benchmarks.harness.script import Results, benchmark, option
from dmf.training.trial import train
from pipelines.grid.estimate import from_finished
from pipelines.grid.inputs import load_inputs
from pipelines.grid.run import run_grid
from pipelines.grid.status import grid_status
from pipelines.status.work import print_status
from pipelines.trials.plan import PlannedTrial, plan
from pipelines.trials.record import DONE
from tests.support.records import record_of_planned
from tune_spaces import Study

SIDE, IMAGES = 16, 12
SEEDS = 10


@dataclass(frozen=True)
class Setting:
    trials: int = option(1000, "of next to no work")
    cells: int = option(10_000, "on paper")
    plain: int = option(100, "trainings in the plain loop")
    workers: int = option(2, "of the grid")


def study(name: str, cells: int) -> Study:
    """A grid over so many learning rates and ten seeds, with the smallest network there is."""
    return Study(
        name=name,
        title=name,
        datasets=["phantom"],
        seeds=SEEDS,
        trial={
            "model_params": {"base_filters": 1},
            "losses": ["cross_entropy"],
            "weighting": "fixed",
            "auxiliary": None,
            "image_size": SIDE,
            "epochs": 1,
            "batch_size": IMAGES,
        },
        grid=[{"learning_rate": [1e-3 * (1 + number) for number in range(cells // SEEDS)]}],
        baseline={"learning_rate": 1e-3},
    )


def trials_of_no_work(root: Path, setting: Setting) -> dict[str, Any]:
    """The whole way against a plain loop over the same trainings."""
    small = study("overhead", setting.trials)
    planned = plan(small, root, root / "trials")
    with Stopwatch() as grid:
        failures = run_grid(small, planned, root, f"sqlite:///{root / 'mlflow.db'}", setting.workers)
    written = sorted((trial.folder / DONE).stat().st_mtime for trial in planned)
    data = load_inputs(root, planned[0].spec).trial_data("default")
    specs = iter(trial.spec for trial in planned[: setting.plain])
    plain = seconds(lambda: train(next(specs), data), min(setting.plain, len(planned)))
    return {
        "trials": len(planned) - len(failures),
        "workers": setting.workers,
        "ms a trial, all in all": 1e3 * grid.seconds / len(planned),
        "ms a trial, from the first to the last": 1e3 * (written[-1] - written[0]) / (len(planned) - 1),
        "of which a plain loop takes, ms": 1e3 * plain,
    }


def cells_on_paper(root: Path, cells: int) -> dict[str, Any]:
    """Enumeration, status and estimate; half of the cells are done."""
    large = study("cells", cells)
    with Stopwatch() as enumeration:
        planned = plan(large, root, root / "trials")
    for trial in planned[::2]:
        pretend(trial)
    with Stopwatch() as shown:
        status = grid_status(plan(large, root, root / "trials"))
        print_status(large.name, status)
    done = [trial for trial in planned if trial.identifier in status.done]
    return {
        "cells": len(planned),
        "enumeration, s": enumeration.seconds,
        "enumeration and status, s": shown.seconds,
        "estimate, s": seconds(lambda: from_finished(done)),
    }


def pretend(trial: PlannedTrial) -> None:
    """What status reads of a finished trial."""
    trial.folder.mkdir(parents=True)
    (trial.folder / DONE).write_text(record_of_planned(trial).to_json())


def measure(setting: Setting) -> Results:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        prepare_phantom(Path(scratch), IMAGES, SIDE)
        return {
            "ten thousand cells": cells_on_paper(Path(scratch), setting.cells),
            "trials of no work": trials_of_no_work(Path(scratch), setting),
        }


main = benchmark("overhead", __doc__, Setting, measure)

if __name__ == "__main__":
    main()
