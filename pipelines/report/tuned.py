"""Rows whose values were searched for: what they were trained with, and what every row cost, beside its quality."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.pages.markdown import pipe_table
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, Row
from pipelines.report.names import HEADLINES
from pipelines.report.spelled import number
from pipelines.report.tidy import write_csv
from pipelines.trials.tuning import Tuning, spell_values

TUNED = "§"
"""Marks a row whose values were searched for."""

CAPTION = (
    "What each row cost, in all its trials together, beside the score that tells most. A tuned row's search scored on "
    "validation images alone, with seeds of its own, and never saw a test image; the values that won were then trained "
    "on the study's seeds. A trial that stands for two rows is counted in both."
)


@dataclass(frozen=True)
class Cost:
    """What a row scored and took.

    Attributes:
        quality: Name of the score; `mean` and `spread` (None for one trial, and for no numbers) in percent.
        searches: What chose its values, by split.
        epochs, seconds: Of its own trials.
    """

    dataset: str
    configuration: str
    quality: str
    mean: float
    spread: float | None
    searches: Mapping[str, Tuning]
    trials: int
    epochs: int
    seconds: float

    @property
    def values(self) -> list[str]:
        """Those that it was trained with; of several searches each."""
        told = {split: spell_values(tuning.winner.values) for split, tuning in self.searches.items()}
        return [*told.values()] if len(told) < 2 else [f"{split}: {values}" for split, values in told.items()]

    @property
    def search_trials(self) -> int:
        return sum(len(tuning.proposals) for tuning in self.searches.values())

    @property
    def search_epochs(self) -> int:
        return sum(tuning.epochs for tuning in self.searches.values())

    @property
    def search_seconds(self) -> float:
        return sum(tuning.seconds for tuning in self.searches.values())

    @property
    def total_seconds(self) -> float:
        return self.seconds + self.search_seconds


def is_tuned(row: Row) -> bool:
    """Whether its values were searched for."""
    return any(record.tuning for record in row.records)


def searches_of(row: Row) -> dict[str, Tuning]:
    """The searches behind a row, by split: one, or one for each fold or deal."""
    return {record.tuning.split: record.tuning for record in row.records if record.tuning}


def tuned_sentences(rows: Sequence[Row]) -> str:
    """What the mark says, where one stands: values, and what their search took."""
    told = []
    for row in filter(is_tuned, rows):
        for split, tuning in searches_of(row).items():
            which = f" on {split}" if len(searches_of(row)) > 1 else ""
            told.append(f"{row.configuration}{which}: {spell_values(tuning.winner.values)} ({tuning.sentence})")
    said = f"{TUNED} Its values were searched for first, on validation images alone: {'; '.join(told)}."
    return said if told else ""


def costs_of(layout: Layout, facts: Mapping[str, DataFacts]) -> list[Cost]:
    """One for each row, where a row of the study is tuned; else none."""
    rows = [row for dataset in layout.datasets for row in layout.rows[dataset]]
    return [_cost(row, facts[row.dataset].task) for row in rows] if any(map(is_tuned, rows)) else []


def cost_table(costs: Sequence[Cost]) -> pd.DataFrame:
    """One row a row of the tables; seconds and epochs of all its trials, and of its searches."""
    return pd.DataFrame(
        {
            "dataset": cost.dataset,
            "configuration": cost.configuration,
            "score": cost.quality,
            "mean": cost.mean,
            "std": cost.spread,
            "tuned": "; ".join(cost.values),
            "search_trials": cost.search_trials,
            "search_epochs": cost.search_epochs,
            "search_seconds": cost.search_seconds,
            "trials": cost.trials,
            "epochs": cost.epochs,
            "seconds": cost.seconds,
            "total_seconds": cost.total_seconds,
        }
        for cost in costs
    )


def search_table(layout: Layout) -> pd.DataFrame:
    """One row a proposal of a search: its values, its validation score, what it took, and whether it won."""
    return pd.DataFrame(
        {
            "dataset": tuning.dataset,
            "split": tuning.split,
            "configuration": row.configuration,
            "search": tuning.identifier,
            "method": tuning.tuned["method"],
            "metric": tuning.metric,
            "number": one.number,
            "identifier": one.identifier,
            **{key: json.dumps(value) for key, value in one.values.items()},
            "score": one.score,
            "epochs": one.epochs,
            "seconds": one.seconds,
            "stopped": one.stopped,
            "won": one == tuning.winner,
        }
        for dataset in layout.datasets
        for row in layout.rows[dataset]
        for tuning in searches_of(row).values()
        for one in tuning.proposals
    )


def write_costs(layout: Layout, costs: Sequence[Cost], folder: Path) -> None:
    """cost.md, cost.csv and search.csv, where a row of the study is tuned."""
    if not costs:
        return
    for name, table in (("cost", cost_table(costs)), ("search", search_table(layout))):
        write_csv(table, folder / f"{name}.csv")
    heads = ["Data set", "Configuration", "Score (%)", "Tuned to", "Search", "Training (s)", "With its search (s)"]
    rows = [heads, ["---"] * 5 + ["---:"] * 2, *map(_printed, costs)]
    (folder / "cost.md").write_text(f"### Quality and cost\n\n{CAPTION}\n\n{pipe_table(rows)}\n")


def _printed(cost: Cost) -> list[str]:
    spread = "" if cost.spread is None else f" ± {number(cost.spread)}"
    search = f"{cost.search_trials} trials, {cost.search_epochs} epochs, {cost.search_seconds:.0f} s"
    return [
        cost.dataset,
        cost.configuration,
        f"{cost.quality}: {number(cost.mean)}{spread}",
        "; ".join(cost.values) or "–",
        search if cost.searches else "–",
        f"{cost.seconds:.0f}",
        f"{cost.total_seconds:.0f}",
    ]


def _cost(row: Row, task: str) -> Cost:
    protocol, metric, name = HEADLINES[task][0]
    scores = np.array([100 * record.test[protocol][metric] for record in row.records])
    return Cost(
        dataset=row.dataset,
        configuration=row.configuration,
        quality=name,
        mean=float(scores.mean()),
        spread=float(scores.std(ddof=1)) if len(scores) > 1 and np.isfinite(scores).all() else None,
        searches=searches_of(row),
        trials=len(row.records),
        epochs=sum(record.epochs for record in row.records),
        seconds=sum(record.seconds for record in row.records),
    )
