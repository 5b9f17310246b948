"""What it costs to have every loss and weight of every step on record, beside one `log_metric` call a value.

    python -m benchmarks.recording

A step is one of a small U-Net with three losses. Recording is all that happens to its values: kept on the device, read
once an epoch, written to Parquet with the trial's state as often as `pipelines.grid.attempt` does, and brought from
there to MLflow (SQLite) by the process that mirrors. The rival calls `MlflowClient.log_metric` for each value, as the
obvious script does.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from mlflow.tracking import MlflowClient

from benchmarks.harness.measure import Stopwatch, seconds, take_turns
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.trials import SMALL, draw
from dmf.training.augment import as_float
from dmf.training.results import EpochReport
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pipelines.grid.attempt import SHARE
from pipelines.trials.columns import EpochColumns, HistoryColumns
from pipelines.trials.mirror import BATCH, Mirror
from pipelines.trials.record import epoch_row, step_rows
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder
from tests.support.grids import planned_trial


@dataclass(frozen=True)
class Setting:
    images: int = option(SMALL["images"], "of the data set")
    side: int = option(SMALL["image_size"], "of an image")
    batch: int = option(SMALL["batch_size"], "images of a step")
    turns: int = option(10, "of everything that is measured")
    calls: int = option(300, "of log_metric")


def small_trial(setting: Setting) -> Trial:
    """The quickstart's network on drawn images."""
    spec = TrialSpec(
        dataset="drawn",
        seed=0,
        model_params={"base_filters": SMALL["base_filters"]},
        image_size=setting.side,
        batch_size=setting.batch,
    )
    return Trial(spec, draw(setting.images, setting.side))


def seconds_a_step(trial: Trial, turns: int) -> tuple[float, float]:
    """Of training, and of recording on the device; each with its part of reading out an epoch's rows."""
    rows, number = trial.data.rows["train"][: trial.spec.batch_size], trial.steps_per_epoch
    out = trial.fusion(trial.model(as_float(trial.data.images[rows])), trial.data.targets[rows].long())

    def train() -> None:
        for _ in range(number):
            trial.step(rows)
        trial.training_step.recorder.drain()

    def record() -> None:
        for _ in range(number):
            trial.training_step.recorder.record(out)
        trial.training_step.recorder.drain()

    times = take_turns({"train": train, "record": record}, turns)
    return times["train"].median / number, times["record"].median / number


def rows_of(report: EpochReport, first: int, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per-step and per-epoch rows of so many epochs like this one."""
    epochs, steps = range(first, first + number), len(report.steps[HistoryColumns.total])
    history = pd.concat([step_rows(report, epoch * steps).assign(epoch=epoch) for epoch in epochs])
    row = epoch_row(report) | dict.fromkeys(EpochColumns.digests, "0" * 32)
    return history, pd.concat([pd.DataFrame([row]).assign(epoch=epoch) for epoch in epochs])


def seconds_on_disk(trial: Trial, report: EpochReport, folder: Path, turns: int) -> float:
    """One save: rows of an epoch, state and progress, and the wait until they are on the disk."""
    unfinished, epochs = Unfinished(folder), iter(range(turns + 1))

    def save() -> None:
        epoch = next(epochs)
        unfinished.save(trial.state_dict(), *rows_of(report, epoch, 1), Progress(epochs_done=epoch + 1))

    return take_turns({"": save}, turns)[""].median


def seconds_in_mlflow(
    spec: TrialSpec, report: EpochReport, folder: Path, turns: int, calls: int
) -> tuple[float, float]:
    """An epoch's values through the mirror, which fills its requests, and one value through `log_metric`."""
    uri, results = f"sqlite:///{folder / 'mlflow.db'}", folder / "trials" / "recording"
    mirror, unfinished = Mirror("recording", uri, origin="here"), Unfinished(unfinished_folder(results / "a"))
    steps = len(report.steps[HistoryColumns.total])
    description = planned_trial("a", "a", spec, results).describe("recording", "")
    progress = Progress(steps_per_epoch=steps, description=description)
    together = -(-BATCH // (steps * len(report.steps)))
    taken = []
    for turn in range(turns + 1):
        progress.epochs_done = (turn + 1) * together
        unfinished.save({}, *rows_of(report, turn * together, together), progress)
        with Stopwatch() as watch:
            mirror.level(results)
        taken.append(watch.seconds)
    client = MlflowClient(uri)
    run = client.create_run(mirror.experiment).info.run_id
    step = iter(range(calls))
    single = seconds(lambda: client.log_metric(run, "single", 1.0, step=next(step)), calls)
    return sum(taken[1:]) / turns / together, single  # the first begins the run


def measure(setting: Setting) -> Results:
    torch.set_num_threads(1)
    trial = small_trial(setting)
    report = trial.epoch()
    step, device = seconds_a_step(trial, setting.turns)
    with tempfile.TemporaryDirectory() as scratch:
        save = seconds_on_disk(trial, report, Path(scratch) / "disk", setting.turns)
        mirrored, single = seconds_in_mlflow(trial.spec, report, Path(scratch), setting.turns, setting.calls)
    steps, values = trial.steps_per_epoch, len(report.steps)
    alone = device + seconds(lambda: step_rows(report, 0), setting.turns) / steps
    disk = min(save / steps, SHARE * step)
    return {
        "values a step": values,
        "steps an epoch": steps,
        "step, ms": 1e3 * step,
        "recorded on the device, µs a step": 1e6 * device,
        "saved with the state, µs a step": 1e6 * disk,
        "mirrored by another process, µs a step": 1e6 * mirrored / steps,
        "values alone, % of a step": 100 * alone / step,
        "with state, % of a step": 100 * (alone + disk) / step,
        "log_metric a value, ms a step": 1e3 * single * values,
        "times faster than log_metric": single * values / (alone + mirrored / steps),
    }


main = benchmark("recording", __doc__, Setting, measure)

if __name__ == "__main__":
    main()
