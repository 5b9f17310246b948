"""A trial's folder on disk: written once and whole, so that a folder that is there is a finished trial."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from dmf.train import EpochReport, TrialResult
from pipelines.files import flush_to_disk, replaced, write_atomically

DONE = "trial.json"
FAILED = "failure.json"

FailureKind = Literal["configuration", "divergence", "machine", "skipped"]


@dataclass(frozen=True)
class Failure:
    """Why a trial could not finish.

    Attributes:
        kind: "configuration", a fault of the settings or the code, which all seeds share; "divergence", of this seed;
            "machine", of the computer; "skipped", not tried because another seed of the configuration failed.
        error: one line.
        attempts: how often the trial was begun.
        node: machine of the last attempt.
        log: file that tells more, or an empty string.
        traceback: where the error was raised, if it was.
    """

    kind: FailureKind
    error: str
    attempts: int = 0
    node: str = ""
    log: str = ""
    traceback: str = ""

    @property
    def sentence(self) -> str:
        """For a list: what went wrong, where, how often it was tried, and what tells more."""
        if self.kind == "skipped":
            return self.error
        log = f"; see {self.log}" if self.log else ""
        return f"failed ({self.kind}, attempt {self.attempts}, node {self.node}): {self.error}{log}"


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


def write_failure(folder: Path, description: dict[str, Any], failure: Failure) -> None:
    """Record why a trial could not finish, for the tables of failures."""
    text = json.dumps({**description, "status": "failed", "failure": asdict(failure)}, indent=1)
    write_atomically(folder / FAILED, lambda partial: partial.write_text(text))


def read_failure(folder: Path) -> Failure | None:
    """What `write_failure` wrote; None if there is nothing or it cannot be read."""
    try:
        return Failure(**json.loads((folder / FAILED).read_text())["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def clear_failure(folder: Path) -> None:
    """Forget an earlier failure: the trial is tried again."""
    (folder / FAILED).unlink(missing_ok=True)


def is_done(folder: Path) -> bool:
    """Whether a trial has finished."""
    return (folder / DONE).is_file()
