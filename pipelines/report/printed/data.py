"""Tables about data and settings: images of each class or split, hyperparameters, and what others report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pipelines.papers.described import PrintedTable
from pipelines.report.data import DataFacts
from pipelines.report.layout import value_label
from pipelines.report.names import printed
from pipelines.report.printed.matching import Trials, places
from pipelines.report.printed.pivot import stands_in
from pipelines.report.printed.sheet import Cell, Line, Sheet, Unmade


def fill_images(table: PrintedTable, trials: Trials) -> Sheet | Unmade:
    """Images of each class, or of each side of the split, beside the printed counts."""
    return (_by_split if table.columns else _by_class)(table, trials)


def fill_settings(table: PrintedTable, trials: Trials) -> Sheet:
    """Hyperparameters: every value that the study's trials have, beside the printed one."""
    lines = []
    for name, value in table.values.items():
        ours = dict.fromkeys(value_label(record.spec, name) for record in trials.records)
        lines.append(Line((_label(table, name),), (Cell("; ".join(ours), value),)))
    return _sheet(table, (("Value",),), lines, ())


def no_trial_answers(table: PrintedTable, _trials: Trials) -> Unmade:
    """A survey of the literature."""
    return Unmade(
        table.name, table.number, "it holds what other papers report, and nothing that a trial could measure."
    )


def _by_split(table: PrintedTable, trials: Trials) -> Sheet | Unmade:
    found = places(table, [(dataset, "") for dataset in table.values], trials)
    lines, missing, notes = [], [], []
    for (dataset, _), place in found.items():
        facts = trials.facts[place.ours] if place.ours else None
        if facts is None or not facts.images:
            missing.append(_label(table, dataset))
            continue
        counts = zip((facts.images[side] for side in table.columns), table.values[dataset], strict=True)
        cells = tuple(_count(ours, theirs, not place.stands_in) for ours, theirs in counts)
        name = _label(table, dataset)
        if place.stands_in:
            notes.append(stands_in(facts, name))
        lines.append(Line((f"{facts.name} for {name}" if place.stands_in else name,), cells))
    if not lines:
        return Unmade(table.name, table.number, f"no trials on one split of {', '.join(missing)}.")
    if missing:
        notes.append(f"Missing: data of {', '.join(missing)}.")
    return _sheet(table, [(_label(table, side),) for side in table.columns], lines, notes)


def _by_class(table: PrintedTable, trials: Trials) -> Sheet | Unmade:
    ((slot, names),) = table.datasets.items()
    facts = next((trials.facts[name] for name in names if name in trials.datasets), None)
    if facts is None:
        dataset, _, task = slot.partition("/")
        return Unmade(table.name, table.number, f"no trials on {printed(dataset)} ({task}).")
    lines = [
        Line((_label(table, name),), (_count(_images_of(facts, name), value),)) for name, value in table.values.items()
    ]
    others = [name for name in facts.classes if name not in table.values]
    notes = [f"Not printed, and in our copy: {', '.join(others)}."] if others else []
    return _sheet(table, (("Count",),), lines, notes)


def _images_of(facts: DataFacts, name: str) -> int | None:
    return int((facts.truths == facts.classes.index(name)).sum()) if name in facts.classes else None


def _count(ours: int | None, theirs: int, same_data: bool = True) -> Cell:
    if ours is None:
        return Cell(theirs=str(theirs))
    return Cell(ours=str(ours), theirs=str(theirs), difference=float(ours - theirs) if same_data else math.nan)


def _label(table: PrintedTable, name: str) -> str:
    return table.labels.get(name, printed(name))


def _sheet(table: PrintedTable, heads: Sequence[tuple[str, ...]], lines: Sequence[Line], notes: Iterable[str]) -> Sheet:
    return Sheet(
        name=table.name,
        number=table.number,
        caption=table.full_caption,
        label_heads=tuple(table.rows.values()),
        heads=tuple(heads),
        lines=tuple(lines),
        notes=tuple(notes),
    )
