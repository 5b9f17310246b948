"""Tables whose rows and columns are fields of the printed numbers: losses by metrics, two tasks abreast, folds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from pipelines.papers.described import PrintedTable
from pipelines.report.data import DataFacts
from pipelines.report.layout import repeats_text
from pipelines.report.names import printed
from pipelines.report.printed.filling import Column, Filling, Key
from pipelines.report.printed.matching import Slot, Trials
from pipelines.report.printed.sheet import Line, Sheet, Unmade


def fill_pivot(table: PrintedTable, trials: Trials) -> Sheet | Unmade:
    """The table with our trials in it, or why there is none."""
    filled = Filling(table, trials)
    keys = dict.fromkeys(tuple(getattr(number, name) for name in table.rows) for number in filled.scores)
    rows = [dict(zip(table.rows, key, strict=True)) for key in keys]
    return finish(filled, rows, _columns(filled))


def finish(filled: Filling, rows: Sequence[Key], columns: Sequence[Column]) -> Sheet | Unmade:
    """Rows with a number of ours and quoted ones; what is missing is said in a line."""
    table = filled.table
    lines, left_out = [], []
    for row in rows:
        labels = tuple(filled.label(name, value) for name, value in row.items())
        cells = tuple(filled.cell(row, column) for column in columns)
        quoted = filled.is_quoted(row)
        if quoted or any(cell.measured for cell in cells):
            lines.append(Line(labels, cells, quoted))
        elif filled.place(row).ours:
            left_out.append(" · ".join(label for name, label in zip(row, labels, strict=True) if name != "dataset"))
    missing = [_slot_name(filled, slot) for slot, place in filled.places.items() if not place.ours]
    if all(line.quoted for line in lines):
        return Unmade(table.name, table.number, _why(missing, left_out))
    shown = [place for place in range(len(columns)) if any(not line.cells[place].empty for line in lines)]
    return Sheet(
        name=table.name,
        number=table.number,
        caption=table.full_caption,
        label_heads=tuple(table.rows.values()),
        heads=tuple(columns[place].heads for place in shown),
        lines=tuple(dataclasses.replace(line, cells=tuple(line.cells[place] for place in shown)) for line in lines),
        notes=tuple(_notes(filled, missing, left_out)),
    )


def _columns(filled: Filling) -> list[Column]:
    table = filled.table
    fields = [name for name in table.columns if name != "metric"]
    outer = dict.fromkeys(tuple(getattr(number, name) for name in fields) for number in filled.scores)
    inner = [metric for metric in table.metrics if metric not in (*table.first, *table.last)]

    def once(metric: str) -> Column:
        return Column({"metric": metric}, (filled.label("metric", metric), *[""] * len(fields)))

    middle = [
        Column(
            {**dict(zip(fields, values, strict=True)), "metric": metric},
            (*map(filled.label, fields, values), filled.label("metric", metric)),
        )
        for values, metric in itertools.product(outer, inner)
    ]
    first, last = ([once(metric) for metric in metrics] for metrics in (table.first, table.last))
    columns = [*first, *middle, *last]
    return _by_noise(filled, columns) if table.layout == "noise" else columns


def _by_noise(filled: Filling, columns: Sequence[Column]) -> list[Column]:
    """Each level that our trials measured, then what is printed, of which the paper does not tell the level."""
    protocols = dict.fromkeys(protocol for record in filled.trials.records for protocol in record.test)
    levels = dict.fromkeys(protocol.partition("@")[2] for protocol in protocols if "@noise=" in protocol)
    groups = [
        dataclasses.replace(
            column, heads=(level.replace("noise=", "noise "), *column.heads), noise=level, printed=False
        )
        for level in levels
        for column in columns
    ]
    as_printed = [dataclasses.replace(column, heads=("printed", *column.heads), ours=False) for column in columns]
    return [*groups, *as_printed]


def _slot_name(filled: Filling, slot: Slot) -> str:
    dataset, task = slot
    return filled.table.labels.get(dataset, printed(dataset)) + (f" ({task})" if task else "")


def _why(missing: Sequence[str], left_out: Sequence[str]) -> str:
    reasons = [f"no trials on {_listed(missing)}"] if missing else []
    reasons += [f"no trial of the study is one of its rows: {_listed(left_out)}"] if left_out else []
    return f"{'; '.join(reasons)}."


def _notes(filled: Filling, missing: Sequence[str], left_out: Sequence[str]) -> Iterable[str]:
    table = filled.table
    protocols = f", under the protocol {' and '.join(filled.protocols)}" if filled.protocols else ""
    yield f"Ours of {repeats_text(filled.specs)}{protocols}."
    gaps = [f"data of {_listed(missing)}"] if missing else []
    gaps += [f"rows {_listed(left_out)}"] if left_out else []
    if gaps:
        yield f"Missing: {'; '.join(gaps)}."
    for slot, place in filled.places.items():
        if place.stands_in:
            yield stands_in(filled.trials.facts[place.ours or ""], _slot_name(filled, slot))
    for remark in filled.remarks:
        yield f"{remark[:1].upper()}{remark[1:]}."
    if table.layout == "noise":
        yield "Noise: its standard deviation as a share of the intensities' range; the paper does not tell its own."
    if table.quoted:
        yield f"Quoted rows are the paper's, from {table.quoted_from}."


def stands_in(facts: DataFacts, name: str) -> str:
    """What a note says of other data in the place of the paper's."""
    return f"{facts.title} stands for {name}: the printed numbers are of other data, so no difference is taken."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
