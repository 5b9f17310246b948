"""Identities of accuracy, precision and recall of classified images: the loss fusion paper.

Recall averaged over classes by their size is accuracy. Accuracy on n images is a multiple of 1 / n. A classifier that
always names one class of share q has accuracy q, weighted precision q^2, and macro precision q / k, macro recall 1 / k.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.papers.identities.breaks import Break, exceeds, rounding
from pipelines.papers.printed import Printed, rows, select

THOUSANDTH = 1e-3
"""Most cells are printed with three or four decimals, rounded or cut: less is no misprint."""

SQUARED = 1.2e-3
"""How far precision may lie from accuracy squared: a square moves by a thousandth when accuracy is rounded to three."""

FEWEST, MOST = 100, 3000
"""Sizes of test sets that are tried."""

Row = Mapping[str, Printed]


@dataclass(frozen=True)
class PairCount:
    """How two fused losses do beside each alone, by accuracy, over all data sets and tasks."""

    pairs: int
    beat_both: int
    lose_to_both: int


def classification_breaks(numbers: Sequence[Printed]) -> list[Break]:
    """All of the loss fusion paper."""
    table = classified_rows(numbers)
    found = [one for row in table for one in _recall_is_accuracy(row)]
    found += _grim(table)
    found += [one for row in table for one in (*_constant(row), *_constant_of_classes(row))]
    found += _base_rates(table)
    found += _swapped(table)
    return found + list(_two_cross_entropies(table))


def classified_rows(numbers: Sequence[Printed]) -> list[Row]:
    """Rows with accuracy, precision and recall, one a task."""
    return [row for row in rows(select(numbers, paper="loss_fusion")).values() if "recall" in row]


def count_pairs(numbers: Sequence[Printed]) -> PairCount:
    """Pairs of losses whose accuracy is above, or below, that of both members."""
    cells = select(numbers, paper="loss_fusion", metric="accuracy", table=[str(table) for table in range(7, 19)])
    accuracy = {(cell.dataset, cell.task, cell.losses): cell.value for cell in cells}
    pairs = [
        (value, [accuracy[dataset, task, (loss,)] for loss in losses])
        for (dataset, task, losses), value in accuracy.items()
        if len(losses) == 2
    ]
    beat, lost = (sum(fits) for fits in ((v > max(m) for v, m in pairs), (v < min(m) for v, m in pairs)))
    return PairCount(len(pairs), beat, lost)


def is_multiple(cell: Printed, n: int | np.ndarray) -> np.ndarray:
    """Whether a printed fraction can be some number of n images (the GRIM test), for each n."""
    low, high = cell.value - cell.rounding, cell.value + cell.rounding
    return np.floor(high * n + 1e-9) >= np.ceil(low * n - 1e-9)


def size_of_test_set(cells: Sequence[Printed]) -> tuple[int, int]:
    """The size n of the test set that explains most of the cells as multiples of 1 / n, the smallest such; how many."""
    sizes = np.arange(FEWEST, MOST)
    counts = sum((is_multiple(cell, sizes).astype(int) for cell in cells), np.zeros(len(sizes), int))
    best = int(counts.argmax())
    return FEWEST + best, int(counts[best])


def fine(cells: Iterable[Printed]) -> list[Printed]:
    """Those printed with enough decimals to tell the size of a test set by."""
    return [cell for cell in cells if cell.decimals >= 4]


def _recall_is_accuracy(row: Row) -> Iterator[Break]:
    accuracy, recall = row["accuracy"], row["recall"]
    amount = abs(accuracy.value - recall.value)
    if exceeds(amount, THOUSANDTH):
        reason = f"Recall weighted by class size is accuracy; {recall.text} and {accuracy.text} are printed."
        yield Break("recall_is_accuracy", (accuracy, recall), amount, reason)


def _grim(table: Sequence[Row]) -> Iterator[Break]:
    """Only where one size of the test set explains nearly all cells: then the few others are misprints."""
    for cells in _by_dataset(table).values():
        known = fine(row["accuracy"] for row in cells)
        n, explained = size_of_test_set(known)
        if explained < 0.95 * len(known):
            continue
        for row in cells:
            accuracy, recall = row["accuracy"], row["recall"]
            misprint = exceeds(abs(accuracy.value - recall.value), THOUSANDTH)
            if accuracy.value < 1 and misprint and recall.decimals >= 4 and is_multiple(recall, n):
                nearest = min(abs(m / n - accuracy.value) for m in (math.floor(accuracy.value * n + k) for k in (0, 1)))
                hit = round(recall.value * n)
                reason = (
                    f"{explained} of {len(known)} accuracies are multiples of 1/{n}; {accuracy.text} misses them by "
                    f"{nearest:.5f}, while the row's own recall is {hit}/{n} = {hit / n:.4f}."
                )
                yield Break("grim", (accuracy,), abs(accuracy.value - hit / n), reason)


def _constant(row: Row) -> Iterator[Break]:
    """Weighted averages: precision is accuracy squared. Near 1 that tells nothing: a square is the number itself."""
    accuracy, precision = row["accuracy"], row["precision"]
    off = abs(accuracy.value**2 - precision.value)
    if not exceeds(off, SQUARED) and exceeds(accuracy.value - accuracy.value**2, SQUARED):
        reason = f"Precision {precision.text} is accuracy {accuracy.text} squared: one class was named for every image."
        yield Break("constant_predictor", (accuracy, precision, row["recall"]), off, reason)


def _constant_of_classes(row: Row) -> Iterator[Break]:
    """Macro averages: recall 1 / k and precision q / k."""
    accuracy, precision, recall = row["accuracy"], row["precision"], row["recall"]
    for classes in range(3, 11):
        share = abs(recall.value - 1 / classes), abs(precision.value - accuracy.value / classes)
        if not exceeds(share[0], recall.rounding) and not exceeds(share[1], rounding(precision, accuracy)):
            reason = (
                f"Recall {recall.text} is 1/{classes} and precision {precision.text} is accuracy over {classes}: "
                f"one of {classes} classes was named for every image."
            )
            yield Break("constant_predictor_macro", (accuracy, precision, recall), max(share), reason)


def base_rates(table: Iterable[Row]) -> dict[tuple[str, str], list[float]]:
    """By data set and task, the different accuracies of constant predictors: each is the share of one class."""
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in table:
        if (cell := row["accuracy"]).decimals >= 4 and (any(_constant(row)) or any(_constant_of_classes(row))):
            rates[cell.dataset, cell.task].append(cell.value)
    return {key: _distinct(sorted(values)) for key, values in rates.items()}


def _distinct(values: Sequence[float]) -> list[float]:
    found: list[float] = []
    for value in values:
        if not found or value - found[-1] > THOUSANDTH:
            found.append(value)
    return found


def _base_rates(table: Sequence[Row]) -> Iterator[Break]:
    for (dataset, task), rates in base_rates(table).items():
        if len(rates) < 2:
            continue
        cells = [
            next(row["accuracy"] for row in _of(table, dataset, task) if row["accuracy"].value == rate)
            for rate in rates
        ]
        listed = ", ".join(cell.text for cell in cells)
        reason = (
            f"Constant predictors have accuracies {listed} on {dataset}, {task}: rows were tested on different sets."
        )
        yield Break("base_rates", tuple(cells), rates[-1] - rates[0], reason)


def _swapped(table: Sequence[Row]) -> Iterator[Break]:
    """Both tasks of a row carry the other task's commonest constant predictor in precision and recall."""
    usual = {key: _usual(table, *key) for key in {(row["recall"].dataset, row["recall"].task) for row in table}}
    pairs: dict[tuple[str, tuple[str, ...]], dict[str, Row]] = defaultdict(dict)
    for row in table:
        pairs[row["recall"].dataset, row["recall"].losses][row["recall"].task] = row
    for (dataset, _), tasks in pairs.items():
        binary, several = tasks["binary"], tasks["multiclass"]
        theirs = usual[dataset, "multiclass"], usual[dataset, "binary"]
        if None in theirs or theirs[0] == theirs[1]:
            continue
        if (_pair(binary), _pair(several)) == theirs:
            cells = binary["accuracy"], binary["recall"], several["accuracy"], several["recall"]
            reason = "Binary and multiclass carry each other's usual precision and recall: columns look swapped."
            yield Break("swapped_columns", cells, abs(cells[1].value - cells[3].value), reason)


def _pair(row: Row) -> tuple[str, str]:
    return row["precision"].text, row["recall"].text


def _usual(table: Sequence[Row], dataset: str, task: str) -> tuple[str, str] | None:
    """Precision and recall of the constant predictor that stands most often."""
    found = [_pair(row) for row in _of(table, dataset, task) if any(_constant(row))]
    return max(found, key=found.count) if len(found) > 1 else None


def _two_cross_entropies(table: Sequence[Row]) -> Iterator[Break]:
    """On two softmax outputs categorical and binary cross-entropy are the same function up to a factor."""
    single = {(row["recall"].dataset, row["recall"].losses): row for row in table if row["recall"].task == "binary"}
    for (dataset, losses), row in single.items():
        if losses != ("cross_entropy",):
            continue
        ours, other = row["accuracy"], single[dataset, ("binary_cross_entropy",)]["accuracy"]
        amount = abs(ours.value - other.value)
        if exceeds(amount, rounding(ours, other)):
            reason = (
                f"With two softmax outputs categorical and binary cross-entropy are one loss; accuracies {ours.text} "
                f"and {other.text} are printed."
            )
            yield Break("two_cross_entropies", (ours, other), amount, reason, marks=False)


def _of(table: Iterable[Row], dataset: str, task: str) -> list[Row]:
    return [row for row in table if (row["accuracy"].dataset, row["accuracy"].task) == (dataset, task)]


def _by_dataset(table: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in table:
        found[row["accuracy"].dataset].append(row)
    return found
