"""A trial's folder on disk: written once and whole, so that a folder that is there is a finished trial."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dmf.training.results import EpochReport, TrialResult
from pipelines.core.files import flush_to_disk, replaced

DONE = "trial.json"


def step_rows(report: EpochReport, first_step: int) -> pd.DataFrame:
    """The per-step history of one epoch: `step`, `epoch` and a column for everything that was recorded."""
    frame = pd.DataFrame(report.steps)
    frame.insert(0, "step", np.arange(first_step, first_step + len(frame)))
    frame.insert(1, "epoch", report.epoch)
    return frame


def epoch_row(report: EpochReport) -> dict[str, Any]:
    """One row of `epochs.parquet`."""
    return {
        "epoch": report.epoch,
        "train_total": report.train_total,
        "seconds": report.seconds,
        "learning_rate": report.learning_rate,
        **{f"val/{name}": value for name, value in report.validation.items()},
    }


def write_trial(
    folder: Path,
    description: dict[str, Any],
    result: TrialResult,
    steps: pd.DataFrame,
    epochs: pd.DataFrame,
    cases: pd.DataFrame,
) -> None:
    """Write a finished trial, whole or not at all.

    Args:
        folder: `trials/<study>/<identifier>`; an earlier failure there is replaced.
        description: identifier, study, spec, checksums, times, environment.
        cases: the data set's `cases.csv`, in the order of its arrays.
    """
    tested = cases.iloc[result.rows][["image", "label"]].reset_index(drop=True)
    outcome = {
        "status": "done",
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "summary": result.test,
        "validation": result.validation,
        "confusion": result.confusion.tolist(),
        "diagnostics": [asdict(finding) for finding in result.findings],
    }
    with replaced(folder, beside=folder.parent.parent) as partial:
        steps.to_parquet(partial / "history.parquet", index=False)
        epochs.to_parquet(partial / "epochs.parquet", index=False)
        pd.concat([tested, pd.DataFrame(result.images)], axis=1).to_parquet(partial / "images.parquet", index=False)
        probabilities: dict[str, Any] = {} if result.probabilities is None else {"probabilities": result.probabilities}
        np.savez_compressed(partial / "predictions.npz", index=result.rows, masks=result.predictions, **probabilities)
        torch.save(result.weights, partial / "model.pt")
        (partial / DONE).write_text(json.dumps({**description, **outcome}, indent=1))
        flush_to_disk(partial)


def is_done(folder: Path) -> bool:
    """Whether a trial has finished."""
    return (folder / DONE).is_file()
