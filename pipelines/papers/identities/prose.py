"""Sentences of the papers that their own tables contradict, computed from `statements.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, TypeAdapter

from pipelines.papers.identities.breaks import Break, exceeds, rounding
from pipelines.papers.printed import Printed, rows, select
from tune_spaces.strict_yaml import StrictModel

PATH = Path(__file__).parent / "statements.yaml"

Cells = dict[str, Any]

_ROW = ("dataset", "task", "architecture", "losses", "auxiliary", "weighting", "condition", "metric")


class Statement(StrictModel):
    """What a paper says about its tables; the file's head explains the tests."""

    paper: str
    place: str
    says: str
    test: Literal["is", "highest", "closest", "from", "to", "gain", "above", "sum", "printed"]
    cells: Cells = Field(default_factory=dict)
    among: Cells = Field(default_factory=dict)
    minus: Cells = Field(default_factory=dict)
    than: Cells = Field(default_factory=dict)
    value: float | None = None
    parts: list[int] = Field(default_factory=list)

    def pick(self, numbers: Sequence[Printed], cells: Cells) -> list[Printed]:
        """The paper's printed numbers that `cells` describes; its losses are one list, or a list of them."""
        wanted = {name: _alternatives(name, value) for name, value in cells.items()}
        found = select(numbers, paper=self.paper, **wanted)
        if not found:
            raise ValueError(f"{PATH}: {self.place}: no printed number fits {cells}.")
        return found


@cache
def statements() -> tuple[Statement, ...]:
    """Every sentence that is checked."""
    return tuple(TypeAdapter(list[Statement]).validate_python(yaml.safe_load(PATH.read_text(encoding="utf-8"))))


def prose_breaks(numbers: Sequence[Printed]) -> list[Break]:
    """One break a sentence and cell that contradict each other."""
    return [one for statement in statements() for one in _TESTS[statement.test](statement, numbers)]


def _alternatives(name: str, value: Any) -> Any:
    if name != "losses":
        return value
    return [tuple(losses) for losses in value] if isinstance(value[0], list) else tuple(value)


def _break(statement: Statement, cells: Sequence[Printed], amount: float, finding: str) -> Break:
    reason = f'{statement.place[:1].upper()}{statement.place[1:]}: "{statement.says}" {finding}'
    return Break("prose", tuple(cells), amount, reason, marks=False)


def _is(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    (cell,) = statement.pick(numbers, statement.cells)
    yield from _value(statement, cell, numbers, "The table has")


def _value(statement: Statement, cell: Printed, numbers: Sequence[Printed], what: str) -> Iterator[Break]:
    """The cell, rounded to the sentence's decimals, is another number; perhaps it is another one of its row."""
    assert statement.value is not None
    decimals = max(2, len(str(statement.value).partition(".")[2]))
    if round(cell.value, decimals) != statement.value:
        meant = [one.metric for one in numbers if one.row == cell.row and round(one.value, decimals) == statement.value]
        taken = f"; what is said is its {' or '.join(meant)}" if meant else ""
        amount = abs(cell.value - statement.value)
        yield _break(statement, [cell], amount, f"{what} {cell.text} ({cell.where}){taken}.")


def _from(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    cell = min(statement.pick(numbers, statement.cells), key=lambda cell: cell.value)
    yield from _value(statement, cell, numbers, "The lowest is")


def _to(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    cell = max(statement.pick(numbers, statement.cells), key=lambda cell: cell.value)
    yield from _value(statement, cell, numbers, "The highest is")


def _highest(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    (cell,) = statement.pick(numbers, statement.cells)
    best = max(statement.pick(numbers, statement.among), key=lambda cell: cell.value)
    if best.value > cell.value:
        yield _break(statement, [cell, best], best.value - cell.value, f"The highest is {best.text} ({best.where}).")


def _closest(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    gaps = {
        key: abs(row["precision"].value - row["recall"].value)
        for key, row in rows(statement.pick(numbers, statement.among)).items()
    }
    ((named, row),) = rows(statement.pick(numbers, statement.cells)).items()
    wider = sum(gap > gaps[named] for gap in gaps.values())
    if gaps[named] > min(gaps.values()):
        place = "the largest" if not wider else f"larger than in {len(gaps) - wider - 1}"
        finding = f"Its gap of precision and recall, {gaps[named]:.2f}, is {place} of the {len(gaps)} rows."
        yield _break(statement, [row["precision"], row["recall"]], gaps[named], finding)


def _gain(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    assert statement.value is not None
    (ours,), (theirs,) = (statement.pick(numbers, cells) for cells in (statement.cells, statement.minus))
    gain = ours.value - theirs.value
    if exceeds(abs(gain - statement.value), rounding(ours, theirs)):
        finding = f"The tables give {ours.text} - {theirs.text} = {gain:+.3f} in {ours.metric}."
        yield _break(statement, [ours, theirs], abs(gain - statement.value), finding)


def _above(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    """Rivals agree with a cell in every field of the row but those that `than` names."""
    same = [name for name in _ROW if name not in statement.than or name == "metric"]
    rivals = statement.pick(numbers, statement.than)
    for cell in statement.pick(numbers, statement.cells):
        for rival in rivals:
            if rival.value > cell.value and all(getattr(rival, name) == getattr(cell, name) for name in same):
                finding = f"{rival.text} ({rival.where}) is above {cell.text} ({cell.where})."
                yield _break(statement, [cell, rival], rival.value - cell.value, finding)


def _sum(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    assert statement.value is not None
    total = sum(statement.parts)
    if total != statement.value:
        finding = f"{' + '.join(map(str, statement.parts))} is {total}."
        cells = select(numbers, paper=statement.paper)[:1]
        yield _break(statement, cells, abs(total - statement.value), finding)


def _printed(statement: Statement, numbers: Sequence[Printed]) -> Iterator[Break]:
    assert statement.value is not None
    cells = statement.pick(numbers, statement.cells)
    if statement.value not in [cell.value for cell in cells]:
        nearest = min(cells, key=lambda cell: abs(cell.value - (statement.value or 0.0)))
        amount = abs(nearest.value - statement.value)
        yield _break(
            statement, [nearest], amount, f"It stands nowhere; the nearest is {nearest.text} ({nearest.where})."
        )


_TESTS: dict[str, Callable[[Statement, Sequence[Printed]], Iterator[Break]]] = {
    "is": _is,
    "highest": _highest,
    "closest": _closest,
    "from": _from,
    "to": _to,
    "gain": _gain,
    "above": _above,
    "sum": _sum,
    "printed": _printed,
}
