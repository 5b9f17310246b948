"""What it costs to have every loss and weight of every step on record, beside one `log_metric` call a value.

    python -m benchmarks.recording

Prints a table and writes benchmarks/results/recording.json. A step is one of a small U-Net with three losses. Recording
is all that happens to its values: kept on the device, read once an epoch, written to Parquet with the trial's state as
often as `pipelines.grid.attempt` does, and sent to MLflow (SQLite) by the process that mirrors. The rival calls
`MlflowClient.log_metric` for each value, as the obvious script does.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.tracking import MlflowClient

from dmf.training.augment import as_float
from dmf.training.data import SPLITS, TrialData, epoch_order
from dmf.training.results import EpochReport
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pipelines.grid.attempt import SHARE
from pipelines.trials.mirror import BATCH, Mirror
from pipelines.trials.record import epoch_row, step_rows
from pipelines.trials.unfinished import Progress, Unfinished

RESULTS = Path(__file__).parent / "results" / "recording.json"
IMAGES, SIDE, EPOCHS = 240, 64, 6
SINGLE_CALLS = 300


def small_trial() -> Trial:
    """The quickstart's network on random images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (IMAGES, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    rows = dict(zip(SPLITS, torch.arange(IMAGES).split([IMAGES * 2 // 3, IMAGES // 6, IMAGES // 6]), strict=True))
    spec = TrialSpec(
        dataset="random", seed=0, model_params={"base_filters": 16}, image_size=SIDE, epochs=EPOCHS, batch_size=8
    )
    return Trial(spec, TrialData(images, (images[:, 0] > 127).to(torch.uint8), rows, ("background", "lesion")))


def seconds_a_step(trial: Trial) -> float:
    """The median of an epoch's steps, recording on the device included; the buffer is emptied again."""
    times = []
    for batch in epoch_order(trial.data.rows["train"], trial.spec.batch_size, 0, 0):
        begun = time.perf_counter()
        trial.step(batch)
        times.append(time.perf_counter() - begun)
    trial.training_step.recorder.drain()
    return float(np.median(times))


def seconds_on_device(trial: Trial, repeats: int = 200) -> float:
    """A call of the recorder, and a step's part of reading it out."""
    rows = trial.data.rows["train"][:8]
    out = trial.fusion(trial.model(as_float(trial.data.images[rows])), trial.data.targets[rows].long())
    begun = time.perf_counter()
    for _ in range(repeats // trial.steps_per_epoch):
        for _ in range(trial.steps_per_epoch):
            trial.training_step.recorder.record(out)
        trial.training_step.recorder.drain()
    return (time.perf_counter() - begun) / (repeats // trial.steps_per_epoch * trial.steps_per_epoch)


def seconds_on_disk(trial: Trial, report: EpochReport, folder: Path) -> float:
    """One save: rows of an epoch, state and progress."""
    unfinished = Unfinished(folder)
    times = []
    for number in range(10):
        begun = time.perf_counter()
        steps = step_rows(report, 0).assign(epoch=number)
        unfinished.save(trial.state_dict(), steps, pd.DataFrame([{**epoch_row(report), "epoch": number}]))
        unfinished.write_progress(Progress(epochs_done=number + 1))
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def seconds_in_mlflow(report: EpochReport, folder: Path) -> tuple[float, float]:
    """An epoch's values through the mirror, which fills its requests, and one value through `log_metric`."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mirror = Mirror("recording", uri)
    identity = {"identifier": "a", "configuration": "a", "study": "recording"}
    steps = len(report.steps["total"])
    run = mirror.run_of({**identity, "spec": {"dataset": "random", "seed": 0}, "steps_per_epoch": steps})
    together = -(-BATCH // (steps * len(report.steps)))
    begun, sent = time.perf_counter(), range(0, 10 * together, together)
    for first in sent:
        numbers = range(first, first + together)
        history = pd.concat([step_rows(report, number * steps).assign(epoch=number) for number in numbers])
        epochs = pd.concat([pd.DataFrame([epoch_row(report)]).assign(epoch=number) for number in numbers])
        mirror.send_rows(run, history, epochs)
    batched = (time.perf_counter() - begun) / (len(sent) * together)
    client = MlflowClient(uri)
    begun = time.perf_counter()
    for step in range(SINGLE_CALLS):
        client.log_metric(run.identifier, "single", float(step), step=step)
    return batched, (time.perf_counter() - begun) / SINGLE_CALLS


def main() -> None:
    torch.set_num_threads(1)
    trial = small_trial()
    report = trial.epoch()
    step = seconds_a_step(trial)
    device = seconds_on_device(trial)
    with tempfile.TemporaryDirectory() as scratch:
        save = seconds_on_disk(trial, report, Path(scratch))
        mirrored, single = seconds_in_mlflow(report, Path(scratch))
    steps, values = trial.steps_per_epoch, len(report.steps)
    rows = step_rows(report, 0)
    begun = time.perf_counter()
    for _ in range(20):
        step_rows(report, 0)
    framed = (time.perf_counter() - begun) / 20
    disk = min(save / steps, SHARE * step)
    in_training = device + framed / steps + disk
    beside = mirrored / steps
    result: dict[str, Any] = {
        "values a step": values,
        "steps an epoch": len(rows),
        "step, ms": 1e3 * step,
        "recorded on the device, µs a step": 1e6 * device,
        "saved with the state, µs a step": 1e6 * disk,
        "mirrored by another process, µs a step": 1e6 * beside,
        "values alone, % of a step": 100 * (device + framed / steps) / step,
        "with state, % of a step": 100 * in_training / step,
        "log_metric a value, ms a step": 1e3 * single * values,
        "times faster than log_metric": single * values / (device + framed / steps + beside),
    }
    for name, value in result.items():
        print(f"{name:42} {value:10.3f}")
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
