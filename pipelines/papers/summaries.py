"""Tables 19 and 20 of the loss fusion paper, which repeat cells of its tables 7 to 18: the best of each order.

They are kept apart from `published/*.csv`, so that no number is counted twice there. What they say is checked against
the tables that they sum up.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pipelines.papers.identities.breaks import Break, exceeds
from pipelines.papers.printed import Printed, printed, select

PATH = Path(__file__).parent / "summaries" / "loss_fusion.csv"
"""Geetha Ramani et al., tables 19 and 20, with all their decimals."""

SCORES = ("accuracy", "precision", "recall")


@cache
def summaries() -> tuple[Printed, ...]:
    """Every number of the two tables, in printed order; `condition` is the order of the combination."""
    with PATH.open(encoding="utf-8", newline="") as file:
        return tuple(
            Printed(
                paper="loss_fusion",
                table=line["table"],
                dataset=line["dataset"],
                architecture="",
                losses=tuple(line["losses"].split("+")),
                auxiliary="",
                weighting="",
                task=line["task"],
                condition=line["ngram"],
                metric=metric,
                text=line[metric],
                std=None,
                unit="fraction",
            )
            for line in csv.DictReader(file)
            for metric in SCORES
            if line[metric]
        )


@cache
def summary_breaks() -> tuple[Break, ...]:
    """Summaries that differ from what they sum up, or that name a combination which is not the best of its order."""
    return tuple(
        one for cell in select(summaries(), metric="accuracy") for one in (*_other_value(cell), *_better(cell))
    )


def _other_value(cell: Printed) -> Iterator[Break]:
    """Summaries are rounded or cut, so a whole last decimal is allowed for."""
    for other in _same_place(cell):
        if set(other.losses) == set(cell.losses) and exceeds(abs(cell.value - other.value), 2 * cell.rounding):
            reason = f"Table {cell.table} prints {cell.text} for what has {other.text} in table {other.table}."
            yield Break("same_configuration", (cell, other), abs(cell.value - other.value), reason)


def _better(cell: Printed) -> Iterator[Break]:
    rivals = [other for other in _same_place(cell) if cell.table == "20" or len(other.losses) == len(cell.losses)]
    best = max(rivals, key=lambda other: other.value)
    if exceeds(best.value - cell.value, 2 * cell.rounding) and set(best.losses) != set(cell.losses):
        named = " + ".join(best.losses)
        reason = f"{cell.text} is not the highest: table {best.table} prints {best.text} for {named}."
        yield Break("not_the_best", (cell, best), best.value - cell.value, reason)


def _same_place(cell: Printed) -> list[Printed]:
    """Accuracies on the same data set and task in the tables of combinations, 7 to 18."""
    tables = [str(number) for number in range(7, 19)]
    return select(printed(), paper="loss_fusion", table=tables, metric="accuracy", dataset=cell.dataset, task=cell.task)
