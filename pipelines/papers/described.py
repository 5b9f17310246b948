"""The papers' tables as data: what is printed in their rows and columns, and which trials of ours answer to each.

`tables/<paper>.yaml` holds what a paper's tables share and, under `tables`, one description each by its number, whose
keys take the place of the shared ones. A table is named `<paper>-<number>`, such as `adaptexp-7`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pipelines.papers.printed import Printed, printed, select
from pipelines.papers.summaries import summaries
from tune_spaces.strict_yaml import ConfigError, StrictModel, did_you_mean, read_yaml, validate

FOLDER = Path(__file__).parent / "tables"

Layout = Literal["pivot", "noise", "best", "images", "settings", "survey"]


class PrintedTable(StrictModel):
    """One table of a paper.

    Attributes:
        paper, number: As in `Printed`; the number as it is printed, such as "7".
        source: Authors and year, for captions.
        caption: What the table shows, in our words.
        layout: "pivot" (fields of the printed numbers make rows and columns), "noise" (columns by the level of noise on
            the test images), "best" (the best combination of losses of each order), "images" (images by class or
            split), "settings" (hyperparameters), or "survey" (others' numbers only).
        holds: Which `Printed.table` it shows, where that is not its number.
        rows: Fields of `Printed` that tell rows apart, outermost first, with the head of their column.
        columns: Fields that tell columns apart, outermost first.
        metrics: Printed metric, in printed order, to ours, the preferred first: `protocol.metric`, or `gflops`,
            `parameters`, `loss_value`. Those of `first` and `last` stand once a row, before or after the others.
        datasets: Printed data set (or `dataset/task`) to the names in our catalogue, the preferred first.
        ours: By field and printed value, what it means in a `TrialSpec`; `losses`, `auxiliary` and `weighting` mean
            themselves unless told otherwise.
        match: What it means in a `TrialSpec` for all rows. A list is in order of preference (but `losses`, which is a
            combination); a dot reaches into parameters, where None is "not given".
        quoted: Printed architectures that the paper takes from elsewhere, `quoted_from` where.
        labels: Printed names of values.
        repeats: How many trainings are behind a printed standard deviation, where the paper tells.
        values: For "images" and "settings", the printed value of each row and, if there are several, column.
    """

    paper: str
    number: str
    source: str
    caption: str
    layout: Layout = "pivot"
    holds: list[str] = Field(default_factory=list)
    rows: dict[str, str] = Field(default_factory=dict)
    columns: list[str] = Field(default_factory=list)
    metrics: dict[str, list[str]] = Field(default_factory=dict)
    first: list[str] = Field(default_factory=list)
    last: list[str] = Field(default_factory=list)
    datasets: dict[str, list[str]]
    ours: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    match: dict[str, Any] = Field(default_factory=dict)
    quoted: list[str] = Field(default_factory=list)
    quoted_from: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    repeats: int | None = None
    values: dict[str, Any] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.paper}-{self.number}"

    @property
    def full_caption(self) -> str:
        """Such as: Table 7 of Zarrin and Nikkhah (2025): Models, backbones and losses."""
        place = f"Table {self.number} of {self.source}" if self.number.isdigit() else self.source
        return f"{place}: {self.caption}."

    @property
    def numbers(self) -> list[Printed]:
        """What it prints, in printed order."""
        tables = self.holds or [self.number]
        return select((*printed(), *summaries()), paper=self.paper, table=tables)


@cache
def described_tables() -> Mapping[str, PrintedTable]:
    """Every described table of the four papers, by name, in printed order."""
    return {table.name: table for path in sorted(FOLDER.glob("*.yaml")) for table in _read(path)}


def described(name: str) -> PrintedTable:
    """A table by its name.

    Raises:
        ConfigError: for a name that is none, with those that are.
    """
    known = described_tables()
    if name not in known:
        raise ConfigError(f"key `tables`: no paper's table is called {name!r}.{did_you_mean(name, known)}")
    return known[name]


def _read(path: Path) -> list[PrintedTable]:
    shared = read_yaml(path)
    tables = shared.pop("tables")
    return [
        validate(path, {**shared, **table, "paper": path.stem, "number": number}, PrintedTable, within=number)
        for number, table in tables.items()
    ]
