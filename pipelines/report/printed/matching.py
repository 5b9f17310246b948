"""Which of a study's trials answer to a row of a paper's table: data sets that stand for its own, and specs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmf.training.spec import TrialSpec
from pipelines.papers.described import PrintedTable, described_tables
from pipelines.report.data import DataFacts
from pipelines.trials.record import TrialRecord

ANY = "*"
"""In a list of preferences: whatever else there is."""

Slot = tuple[str, str]
"""A printed data set and task; the task is "" where the paper has one only."""


@dataclass(frozen=True)
class Place:
    """Where a printed data set is found among the study's, if anywhere; `stands_in` if it is other data."""

    ours: str | None
    stands_in: bool = False


@dataclass(frozen=True)
class Choice:
    """The trials of one configuration, and what has to be said about how they were chosen."""

    records: tuple[TrialRecord, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Trials:
    """What a study has: finished trials in its order, and facts about its data sets."""

    records: Sequence[TrialRecord]
    facts: Mapping[str, DataFacts]

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(record.spec.dataset for record in self.records))

    def on(self, dataset: str | None) -> list[TrialRecord]:
        """Those on a data set."""
        return [record for record in self.records if record.spec.dataset == dataset]


def places(table: PrintedTable, slots: Iterable[Slot], trials: Trials) -> dict[Slot, Place]:
    """Where each printed data set is found.

    A data set that is none of the paper's takes the place of one that the study lacks: in order, and each once.
    """
    known = trials.datasets
    found = {slot: next((name for name in _names(table, slot) if name in known), None) for slot in slots}
    family = [other for other in described_tables().values() if other.paper == table.paper]
    theirs = {name for other in family for names in other.datasets.values() for name in names}
    foreign = iter([name for name in known if name not in theirs])
    placed = {}
    for slot, name in found.items():
        substitute = None if name else next(foreign, None)
        placed[slot] = Place(name or substitute, stands_in=substitute is not None)
    return placed


def _names(table: PrintedTable, slot: Slot) -> list[str]:
    dataset, task = slot
    return table.datasets.get(f"{dataset}/{task}") or table.datasets.get(dataset, [])


def choose(records: Sequence[TrialRecord], match: Mapping[str, Any]) -> Choice:
    """The trials that a row means: first what it demands, then the most preferred of what is there.

    Of several configurations that fit, the first in the study's order stands.
    """
    left, remarks = list(records), []
    for field, wanted in sorted(match.items(), key=lambda item: _is_preference(*item)):
        for rank, value in enumerate(wanted if _is_preference(field, wanted) else [wanted]):
            fitting = [record for record in left if _fits(record.spec, field, value)]
            if fitting:
                if rank and value != ANY and wanted[0] is not None:
                    remarks.append(f"{field} is {value} where {wanted[0]} is meant")
                break
        left = fitting
    configurations = list(dict.fromkeys(record.configuration for record in left))
    if len(configurations) > 1:
        remarks.append(f"of {len(configurations)} configurations that fit a row, the study's first stands")
    return Choice(tuple(record for record in left if record.configuration == configurations[0]), tuple(remarks))


def _is_preference(field: str, wanted: Any) -> bool:
    return isinstance(wanted, list) and field != "losses"


def _fits(spec: TrialSpec, field: str, value: Any) -> bool:
    if field == "losses":
        return sorted(spec.losses) == sorted(value)
    name, _, parameter = field.partition(".")
    found = getattr(spec, name)
    return value == ANY or (found.get(parameter) if parameter else found) == value
