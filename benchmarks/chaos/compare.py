"""What a disturbed grid has lost, doubled or changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.tracking import MlflowClient

from pipelines.trials.record import read_trial
from tests.support.grids import finished, mirrored

CHANGES = {"seconds", "attempts"}
"""What trial.json may differ in: how long it took, and when, where and by which processes the trial was begun."""


def differences(calm: Path, other: Path) -> list[str]:
    """Files of a trial, and fields of trial.json, that are not the same in two folders, bit for bit but for times."""
    differing = []
    for name in ("history", "epochs", "images"):
        frames = [pd.read_parquet(folder / f"{name}.parquet") for folder in (calm, other)]
        frames = [frame.drop(columns="seconds", errors="ignore") for frame in frames]
        if not frames[0].equals(frames[1]):
            differing.append(f"{name}.parquet")
    arrays = [dict(np.load(folder / "predictions.npz")) for folder in (calm, other)]
    if not all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0] | arrays[1]):
        differing.append("predictions.npz")
    weights = [torch.load(folder / "model.pt") for folder in (calm, other)]
    if not all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0] | weights[1]):
        differing.append("model.pt")
    records = [json.loads(read_trial(folder).model_dump_json(exclude=CHANGES)) for folder in (calm, other)]
    fields = [key for key in records[0] | records[1] if records[0].get(key) != records[1].get(key)]
    return [*differing, *(f"trial.json: {key}" for key in fields)]


def find(folder: Path, calm: Path, rewritten: Collection[str], uri: str) -> dict[str, Any]:
    """What a disturbed run has lost, doubled or changed. All but the first two figures should be 0."""
    expected, found = set(finished(calm)), set(finished(folder))
    attempts = [read_trial(folder / "trials" / "tiny" / name).attempts for name in found]
    changed = {
        name: lost
        for name in expected & found
        if (lost := differences(calm / "trials" / "tiny" / name, folder / "trials" / "tiny" / name))
    }
    for name, files in changed.items():
        print(f"{name} differs in {', '.join(files)}", flush=True)
    runs, once = mirrored(uri), Counter({(name, "FINISHED"): 1 for name in expected})
    client = MlflowClient(uri)
    wrong_points = 0
    for run in client.search_runs([client.get_experiment_by_name("tiny").experiment_id]):
        history = pd.read_parquet(folder / "trials" / "tiny" / run.data.tags["identifier"] / "history.parquet")
        points = sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, "total"))
        wrong_points += points != list(zip(history["step"].tolist(), history["total"].tolist(), strict=True))
    return {
        "trials": len(found),
        "resumed from an epoch": sum(any(one.after_epochs for one in each) for each in attempts),
        "lost": len(expected - found),
        "of unknown origin": len(found - expected),
        "written twice": len(rewritten),
        "records that differ": len(changed),
        "left behind unfinished": len(list((folder / "trials").glob(".unfinished/tiny/*/progress.json"))),
        "in MLflow not exactly once": len((runs - once) | (once - runs)),
        "MLflow histories that differ": wrong_points,
    }
