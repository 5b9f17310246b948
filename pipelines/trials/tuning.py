"""What a search has found: every proposal with its validation score and its cost, and which of them won.

trials/<study>.search/<identifier>/        a trial of a search: a folder like any trial's, of data without test images
trials/<study>/<identifier>.search.json    see `Tuning`: a search that has ended; the study's plan follows from it
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from dmf.training.selection import LAST
from pipelines.trials.columns import EpochColumns
from pipelines.trials.stored import Stored, Strict, read_stored

SUFFIX = ".search.json"


class Proposal(Strict):
    """One trial of a search, whose settings are values from its ranges.

    Attributes:
        number: From 0, in the order in which they were proposed.
        identifier: Of its folder.
        score: The validation metric that selects, at the epoch which it selected; None of one that diverged.
        epochs, seconds: That it took; of one that diverged, those on record.
        stopped: Whether ASHA ended it before its last epoch.
    """

    number: int
    identifier: str
    values: dict[str, float | int | list[float]]
    score: float | None
    epochs: int
    seconds: float
    stopped: bool = False


class Tuning(Stored):
    """A search that has ended.

    Attributes:
        identifier: Covers the row's settings, its ranges, budget and method, the images that it saw, and the code.
        tuned: What the study declared (`Tuned.to_dict`).
        metric: By which proposals were scored, on the validation images alone.
    """

    identifier: str
    dataset: str
    split: str
    tuned: dict[str, Any]
    metric: str
    proposals: tuple[Proposal, ...] = Field(min_length=1)

    @property
    def winner(self) -> Proposal:
        """The highest score, of equals the first. Raises ValueError if all diverged."""
        scored = [(one.score, -one.number, one) for one in self.proposals if one.score is not None]
        return max(scored)[2]

    @property
    def keys(self) -> tuple[str, ...]:
        """What was searched for."""
        return tuple(self.tuned["space"])

    @property
    def epochs(self) -> int:
        return sum(one.epochs for one in self.proposals)

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.proposals)

    @property
    def sentence(self) -> str:
        """Such as: 24 trials by random search, 384 epochs in 120 s; 2 of them diverged."""
        lost, stopped = (
            sum(one.score is None for one in self.proposals),
            sum(one.stopped for one in self.proposals),
        )
        told = f"{len(self.proposals)} trials by {self.tuned['method']} search, {self.epochs} epochs in"
        told += f" {self.seconds:.0f} s"
        told += f"; {stopped} of them stopped early by ASHA" if stopped else ""
        return told + (f"; {lost} of them diverged" if lost else "")


def read_tuning(path: Path) -> Tuning | None:
    """A search that has ended; None if it has not. Raises StageError for a damaged file."""
    return read_stored(path, Tuning) if path.is_file() else None


def metric_of(selection: str, validated: Iterable[str]) -> str:
    """By which a trial is scored on its validation images: what selects its epoch; of "last", Dice or what there is."""
    known = list(validated)
    wanted = "dice" if selection == LAST else selection
    return wanted if wanted in known else known[0]


def scores_by_epoch(selection: str, epochs: pd.DataFrame) -> pd.Series[float]:
    """The validation score of a trial after each epoch, from its rows of epochs.parquet; its name is the metric's."""
    prefix = EpochColumns.validation("")
    validated = [str(name).removeprefix(prefix) for name in epochs if str(name).startswith(prefix)]
    metric = metric_of(selection, validated)
    return epochs[EpochColumns.validation(metric)].rename(metric)


def spell_values(values: dict[str, float | int | list[float]]) -> str:
    """Such as: learning_rate = 0.00213, weights = 0.5, 0.25, 0.25."""
    texts = {key: ", ".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in values.items()}
    return "; ".join(f"{key} = {text}" for key, text in texts.items())
