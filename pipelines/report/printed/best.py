"""Tables of the best combination of losses: of each order, or of any."""

from __future__ import annotations

import dataclasses
import math

from pipelines.papers.described import PrintedTable
from pipelines.papers.printed import select
from pipelines.report.printed.filling import Column, Filling, Key
from pipelines.report.printed.matching import Choice, Trials
from pipelines.report.printed.pivot import finish
from pipelines.report.printed.sheet import Cell, Sheet, Unmade

COMBINATION = Column({"metric": "losses"}, ("Combination",))


def fill_best(table: PrintedTable, trials: Trials) -> Sheet | Unmade:
    """The combinations with the highest accuracy on validation images, and what they score on test images."""
    filled = _Best(table, trials)
    keys = dict.fromkeys(tuple(getattr(number, name) for name in table.rows) for number in filled.scores)
    rows = [dict(zip(table.rows, key, strict=True)) for key in keys]
    columns = [COMBINATION, *(Column({"metric": name}, (filled.label("metric", name),)) for name in table.metrics)]
    made = finish(filled, rows, columns)
    if isinstance(made, Unmade):
        return made
    note = "Ours are chosen by mean accuracy on validation images; the paper does not say how it chose."
    return dataclasses.replace(made, notes=(note, *made.notes))


class _Best(Filling):
    """Cells of the winning combination."""

    def choose(self, key: Key) -> Choice:
        order = int(key["condition"]) if "condition" in key else None
        place = self.place(key)
        tried = [record.spec.losses for record in self.trials.on(place.ours)]
        combinations = [losses for losses in dict.fromkeys(tried) if order in (None, len(losses))]
        found = [super(_Best, self).choose({**self._slot(key), "losses": losses}) for losses in combinations]
        return max((one for one in found if one.records), key=_validated, default=Choice((), ()))

    def cell(self, row: Key, column: Column) -> Cell:
        if column is not COMBINATION:
            return super().cell(row, column)
        records = self.choose(row).records
        ours = self.label("losses", records[0].spec.losses) if records else ""
        return Cell(ours=ours, theirs=self.label("losses", select(self.scores, **row)[0].losses))

    @staticmethod
    def _slot(key: Key) -> Key:
        return {name: value for name, value in key.items() if name in ("dataset", "task")}


def _validated(choice: Choice) -> float:
    scores = [record.validation.get("weighted", {}).get("accuracy", math.nan) for record in choice.records]
    mean = sum(scores) / len(scores)
    return mean if math.isfinite(mean) else -math.inf
