"""One configuration in several tables, and numbers that repeat where they cannot: Adapt Exp and loss fusion."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from pipelines.papers.identities.breaks import Break, exceeds, rounding
from pipelines.papers.printed import Printed, select

_METRIC = {"mdice": "dice", "miou": "iou"}
_NETWORK = "rfe_unet_resnet101"
# What table 9 of the Adapt Exp paper calls its rows, as network and loss of the tables before.
_ABLATION = {
    "Base Line (BCE) + RFE": "binary_cross_entropy",
    "Base Line + RFE + Exp Loss": "exponential",
    "Base Line + RFE + Adapt Exp Loss": "adapt_exp",
}
_PLAIN = "Base Line (BCE)"


def repetition_breaks(numbers: Sequence[Printed]) -> list[Break]:
    """The same training with different numbers, and different trainings with the same."""
    return [
        *_same_configuration(select(numbers, paper="adaptexp")),
        *_without_is_with(select(numbers, paper="adaptexp")),
        *_split_is_folds(select(numbers, paper="adaptexp")),
        *_folds(select(numbers, paper="adaptexp", table="11")),
        *_summaries(select(numbers, paper="loss_fusion", metric="accuracy")),
    ]


def _same_configuration(numbers: Sequence[Printed]) -> Iterator[Break]:
    """The proposed network with a loss on a data set, in tables 4 to 9: one training, so one number."""
    places: dict[tuple[str, str, str], list[Printed]] = defaultdict(list)
    for cell in numbers:
        metric = _METRIC.get(cell.metric, cell.metric)
        loss = "adapt_exp" if cell.table in ("4", "5", "6") else _ABLATION.get(cell.condition, "+".join(cell.losses))
        ours = cell.architecture == _NETWORK or cell.condition in _ABLATION
        if ours and cell.table not in ("10", "11") and metric in ("dice", "iou"):
            places[cell.dataset, loss, metric].append(cell)
    for (dataset, loss, metric), cells in places.items():
        low, high = min(cells, key=lambda cell: cell.value), max(cells, key=lambda cell: cell.value)
        amount = high.value - low.value
        if exceeds(amount, rounding(low, high)):
            listed = ", ".join(f"{cell.text} (table {cell.table})" for cell in cells)
            reason = f"{metric} of the same network with {loss} on {dataset} is {listed}."
            yield Break("same_configuration", tuple(cells), amount, reason)


def _without_is_with(numbers: Sequence[Printed]) -> Iterator[Break]:
    """Table 9's baseline has no RFE; table 8's BCE row has it. Equal numbers mean that one of them is the other."""
    for cell in select(numbers, table="9", condition=_PLAIN):
        found = select(numbers, table="8", dataset=cell.dataset, losses=("binary_cross_entropy",), metric=cell.metric)
        if cell.text == found[0].text:
            reason = f"Table 9 without RFE prints the {cell.text} that table 8 prints with RFE, on {cell.dataset}."
            yield Break("without_is_with", (cell, found[0]), 0.0, reason)


def _split_is_folds(numbers: Sequence[Printed]) -> Iterator[Break]:
    """A row of one split that equals the mean and the deviation over five folds is not of one split."""
    for metric in ("miou", "mdice"):
        single = select(numbers, table="6", architecture=_NETWORK, metric=metric)[0]
        mean, std = (
            select(numbers, table="11", condition=f"fold {name}", metric=metric)[0] for name in ("Mean", "St. Dev.")
        )
        if abs(single.value - mean.value) <= single.rounding and single.std == std.value:
            text = f"{single.text} ± {single.std:g}"
            reason = f"Table 6 on one split prints {text}, table 11's mean and deviation over five folds."
            yield Break("split_is_folds", (single, mean, std), 0.0, reason)


def _folds(numbers: Sequence[Printed]) -> Iterator[Break]:
    """Mean and sample standard deviation of the printed folds."""
    for metric in ("miou", "mdice"):
        folds = [cell for cell in numbers if cell.metric == metric and cell.condition[-1].isdigit()]
        values = [cell.value for cell in folds]
        for name, found in (("Mean", statistics.fmean(values)), ("St. Dev.", statistics.stdev(values))):
            cell = select(numbers, metric=metric, condition=f"fold {name}")[0]
            amount = abs(cell.value - found)
            if exceeds(amount, cell.rounding):
                reason = f"The five printed folds have {name.lower()} {found:.5f}; {cell.text} is printed."
                yield Break("folds", (cell,), amount, reason)


def _summaries(numbers: Sequence[Printed]) -> Iterator[Break]:
    """Tables 5 and 6 of the fusion paper name configurations whose accuracy stands again in tables 7 to 18.

    They are printed with two decimals, rounded or cut, so a whole last decimal is allowed for.
    """
    again = {
        (cell.dataset, cell.task, cell.architecture, frozenset(cell.losses)): cell
        for cell in numbers
        if cell.table not in ("5", "6")
    }
    for cell in select(numbers, table=["5", "6"]):
        other = again.get((cell.dataset, cell.task, cell.architecture, frozenset(cell.losses)))
        if other is not None and exceeds(abs(cell.value - other.value), 2 * cell.rounding):
            reason = f"Table {cell.table} prints {cell.text} for what has {other.text} in table {other.table}."
            yield Break("same_configuration", (cell, other), abs(cell.value - other.value), reason)
