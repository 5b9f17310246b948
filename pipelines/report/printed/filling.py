"""A table while it is filled: from the fields of a row and a column to the printed number and to our trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from dmf.training.spec import TrialSpec
from pipelines.papers.described import PrintedTable
from pipelines.papers.identities import Break, broken_cells
from pipelines.papers.printed import Printed, select
from pipelines.papers.summaries import summary_breaks
from pipelines.report.names import printed
from pipelines.report.printed.matching import Choice, Place, Slot, Trials, choose, places
from pipelines.report.printed.measures import COSTS, first_known, measure
from pipelines.report.printed.sheet import Cell, Measured, score_cell

Key = Mapping[str, Any]
"""Fields of `Printed` and their values."""

ITSELF = ("losses", "auxiliary", "weighting")
"""Fields whose printed value is the spec's."""


@dataclass(frozen=True)
class Column:
    """One column: the printed fields it stands for, its heads, and the level of noise, which no paper prints."""

    key: Key
    heads: tuple[str, ...]
    noise: str = ""
    printed: bool = True
    ours: bool = True


@dataclass(frozen=True)
class Filling:
    """A table while its cells are found, and what is learnt about ours on the way.

    Attributes:
        remarks: How trials were chosen, where that needs saying.
        protocols, specs: By which protocols ours are scored, and of which trials.
    """

    table: PrintedTable
    trials: Trials
    remarks: dict[str, None] = field(default_factory=dict)
    protocols: dict[str, None] = field(default_factory=dict)
    specs: list[TrialSpec] = field(default_factory=list)

    @cached_property
    def numbers(self) -> list[Printed]:
        return self.table.numbers

    @cached_property
    def scores(self) -> list[Printed]:
        """Those that tell rows and columns; GFLOPs and loss values stand once a row."""
        return [number for number in self.numbers if number.metric not in (*self.table.first, *self.table.last)]

    @cached_property
    def places(self) -> dict[Slot, Place]:
        return places(self.table, dict.fromkeys((number.dataset, number.task) for number in self.scores), self.trials)

    @property
    def scale(self) -> float:
        return 100.0 if self.scores[0].unit == "percent" else 1.0

    def decimals(self, metric: str) -> int:
        """As many as the paper prints at most, of scores or of what stands once a row."""
        found = [number.decimals for number in self.numbers if number.metric == metric]
        once = metric in (*self.table.first, *self.table.last)
        return max(found if once and found else [number.decimals for number in self.scores])

    def place(self, key: Key) -> Place:
        """Where the trials of a row and column lie; of several data sets, the first that has any."""
        slots = {name: value for name, value in key.items() if name in ("dataset", "task")}
        fitting = dict.fromkeys((number.dataset, number.task) for number in select(self.scores, **slots))
        found = [self.places[slot] for slot in fitting]
        return next((place for place in found if place.ours), found[0])

    def choose(self, key: Key) -> Choice:
        """The trials that a row and column mean."""
        match = dict(self.table.match)
        for name, value in key.items():
            meaning = self.table.ours.get(name, {}).get(value if isinstance(value, str) else "+".join(value))
            match |= meaning if meaning is not None else {name: _plain(value)} if name in ITSELF else {}
        match.pop("statistic", None)
        return choose(self.trials.on(self.place(key).ours), match)

    def cell(self, row: Key, column: Column) -> Cell:
        """Ours and the printed number of one row and column."""
        key = {**row, **column.key}
        number = next(iter(select(self.numbers, **key)), None) if column.printed else None
        ours = self._ours(row, key, column) if column.ours and not self.is_quoted(row) else None
        decimals, repeats = self.decimals(column.key["metric"]), self.table.repeats
        return score_cell(ours, number, decimals, repeats, not self.place(key).stands_in, breaks_of(number))

    def is_quoted(self, row: Key) -> bool:
        """Whether the paper takes the row from elsewhere."""
        return row.get("architecture") in self.table.quoted

    def _ours(self, row: Key, key: Key, column: Column) -> Measured | None:
        place, metric = self.place(key), column.key["metric"]
        choice = self.choose({name: value for name, value in key.items() if name != "metric"})
        wanted = self.table.metrics[metric]
        name = first_known(choice.records, [_noisy(name, column.noise) for name in wanted])
        if not choice.records or name is None or place.ours is None:
            return None
        if metric not in COSTS:  # what a network costs is the same under all losses: nothing to remark
            self.remarks.update(dict.fromkeys(choice.remarks))
        if "." in name:
            self.protocols[name.partition("@")[0].partition(".")[0]] = None
        self.specs.extend(record.spec for record in choice.records)
        return measure(choice.records, name, self.trials.facts[place.ours], self.scale, self._statistic(row))

    def _statistic(self, row: Key) -> str | None:
        meanings = [self.table.ours.get(name, {}).get(value, {}) for name, value in row.items() if name == "condition"]
        return next((meaning["statistic"] for meaning in meanings if "statistic" in meaning), None)

    def label(self, name: str, value: Any) -> str:
        """The printed name of a row's or column's value; a data set's says what stands in for it."""
        if not isinstance(value, str):
            return " + ".join(self.label(name, one) for one in value)
        text = self.table.labels.get(value, printed(value))
        if name == "dataset":
            place = self.place({"dataset": value})
            return f"{place.ours} for {text}" if place.stands_in else text
        return text


@cache
def _breaks() -> Mapping[Printed, list[Break]]:
    found = {cell: list(breaks) for cell, breaks in broken_cells().items()}
    for one in summary_breaks():
        found.setdefault(one.cells[0], []).append(one)
    return found


def breaks_of(number: Printed | None) -> list[Break]:
    """What a printed number contradicts."""
    return [] if number is None else _breaks().get(number, [])


def _noisy(measure_name: str, noise: str) -> str:
    protocol, dot, metric = measure_name.rpartition(".")
    return f"{protocol}@{noise}{dot}{metric}" if noise else measure_name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value or None
