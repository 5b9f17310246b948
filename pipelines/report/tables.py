"""Mean and spread of every score, in the paper's layout."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from pipelines.report import environments
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, Row, averaged, repeats_text, value_label
from pipelines.report.missing import MARKED
from pipelines.report.names import Metric, ProtocolText
from pipelines.report.tuned import TUNED, is_tuned, tuned_sentences
from pipelines.trials.finished import Missing

RANDOM = "†"
"""Marks a row with trials that asked for pretrained weights and began from random ones."""

Tested = Mapping[tuple[str, str, str, str], float]
"""Corrected p by data set, protocol, metric and configuration."""

MARKS = (("**", 0.01), ("*", 0.05))
"""Below which p of the paired t test against the baseline, Holm-corrected over configurations, a number has a mark."""

SPREAD = "mean ± sample standard deviation (ddof = 1)"


@dataclass(frozen=True)
class Entry:
    """One number of a table: mean and sample standard deviation over `n` seeds, on the scale it is printed in.

    Attributes:
        best, second: Whether it is the best or second best mean of its column, as printed.
        mark: `*` or `**` where it differs from the baseline, see `MARKS`.
    """

    mean: float
    std: float
    n: int
    best: bool
    second: bool = False
    mark: str = ""

    @property
    def missing(self) -> bool:
        """Whether none of its trials has finished."""
        return self.n == 0

    @property
    def shown(self) -> tuple[str, str]:
        """Mean and spread with two decimals; no spread for one seed, no number for a score that is none."""
        if self.missing:
            return "missing", ""
        if not math.isfinite(self.mean):
            return "n/a", ""
        return f"{self.mean:.2f}", f"{self.std:.2f}" if math.isfinite(self.std) else ""

    def __str__(self) -> str:
        mean, std = self.shown
        return f"{mean} ± {std}" if std else mean


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes:
        repeated: how many of the labels, from the outermost on, are those of the row above and need no printing.
    """

    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    repeated: int
    baseline: bool

    @property
    def opens(self) -> bool:
        """Whether a block begins here: rows whose outermost label is the same. The baseline stands alone."""
        return self.baseline or (len(self.labels) > 1 and not self.repeated)


@dataclass(frozen=True)
class Table:
    """One data set under one protocol."""

    dataset: str
    protocol: str
    axes: tuple[str, ...]
    metrics: tuple[Metric, ...]
    lines: tuple[Line, ...]
    title: str
    caption: str

    @property
    def changed(self) -> bool:
        """Whether it is about changed test images, such as noisy ones."""
        return "@" in self.protocol

    @property
    def name(self) -> str:
        return re.sub(r"[^\w.]+", "_", f"{self.dataset}_{self.protocol}")


def build_tables(
    layout: Layout,
    facts: Mapping[str, DataFacts],
    tested: Tested = MappingProxyType({}),
    missing: Sequence[Missing] = (),
) -> list[Table]:
    """One table for each data set and protocol of its task.

    Args:
        tested: Corrected p of (data set, protocol, metric, configuration) against the baseline, for the marks.
        missing: Cells without a result: their rows are marked, or stand below the others where they have none.
    """
    return [
        _build_table(
            layout, facts[dataset], protocol, text, tested, [one for one in missing if one.spec.dataset == dataset]
        )
        for dataset in layout.datasets
        for protocol, text in protocols_of(layout, facts[dataset]).items()
    ]


def protocols_of(layout: Layout, facts: DataFacts) -> dict[str, ProtocolText]:
    """The protocols that are printed, each followed by its variants on changed test images (`per_image@noise=0.1`)."""
    measured = [name.partition("@") for name in _measured(row.records[0].test for row in layout.rows[facts.name])]
    return {
        f"{base}{at}{variant}": text.under(variant)
        for name, text in facts.protocols.items()
        for base, at, variant in measured
        if base == name
    }


def metrics_of(text: ProtocolText, protocol: str, rows: Sequence[Row]) -> tuple[Metric, ...]:
    """The columns of a table, as far as the trials of any row measured them."""
    known = _measured(row.records[0].test.get(protocol, {}) for row in rows)
    return tuple(Metric(name) for name in text.metrics if name in known)


def _measured(of_rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Names that any row has; rows may differ in the changes of their test images."""
    return [*dict.fromkeys(itertools.chain.from_iterable(of_rows))]


def _build_table(
    layout: Layout,
    facts: DataFacts,
    protocol: str,
    text: ProtocolText,
    tested: Tested,
    missing: Sequence[Missing],
) -> Table:
    rows = layout.rows[facts.name]
    metrics = metrics_of(text, protocol, rows)
    short = Counter(one.configuration for one in missing)
    columns = [_column(rows, protocol, metric, tested, short) for metric in metrics]
    lines = tuple(
        Line(
            labels=_marked(row),
            entries=tuple(column[place] for column in columns),
            repeated=_repeated(row, rows[place - 1]) if place else 0,
            baseline=row.baseline,
        )
        for place, row in enumerate(rows)
    )
    random = _random_starts(rows)
    mixed = environments.warning([record for row in rows for record in row.records])
    marked = any(math.isfinite(p) for (name, under, *_), p in tested.items() if (name, under) == (facts.name, protocol))
    told = (_caption(rows, protocol, text, facts, metrics, marked=marked), random, tuned_sentences(rows), mixed)
    caption = " ".join(filter(None, told))
    if missing:
        caption = f"{MARKED} {caption}"
        lines += tuple(_absent(layout, rows, missing, len(metrics)))
    return Table(facts.name, protocol, layout.axes, metrics, lines, text.title, caption)


def _absent(layout: Layout, rows: Sequence[Row], missing: Sequence[Missing], columns: int) -> Iterator[Line]:
    """Lines of the configurations that have no trial yet."""
    there = {row.configuration for row in rows}
    for one in {one.configuration: one for one in missing if one.configuration not in there}.values():
        labels = tuple(value_label(one.spec, axis, without=layout.common.get(axis, ())) for axis in layout.axes)
        yield Line(labels, (Entry(math.nan, math.nan, 0, best=False),) * columns, repeated=0, baseline=False)


def _repeated(row: Row, above: Row) -> int:
    """Labels, from the outermost on and never the innermost, that are those of the row above; the baseline has all."""
    if row.baseline:
        return 0
    same = [one == other for one, other in zip(row.labels[:-1], above.labels[:-1], strict=True)]
    return [*same, False].index(False)


def _column(
    rows: Sequence[Row], protocol: str, metric: Metric, tested: Tested, short: Mapping[str, int]
) -> list[Entry]:
    values = [
        pd.Series([record.test.get(protocol, {}).get(metric.name, math.nan) * metric.scale for record in row.records])
        for row in rows
    ]
    means = [float(series.mean(skipna=False)) for series in values]
    ranked = sorted({round(mean, 2) for mean in means if math.isfinite(mean)}, reverse=not metric.is_distance)
    first, second = (*ranked, math.nan, math.nan)[:2]
    return [
        Entry(
            mean,
            float(series.std(ddof=1, skipna=False)),
            len(series),
            best=round(mean, 2) == first,
            second=round(mean, 2) == second,
            mark=mark_of(tested.get((row.dataset, protocol, metric.name, row.configuration), math.nan))
            + (f"{len(series)}/{len(series) + short[row.configuration]}" if short.get(row.configuration) else ""),
        )
        for row, mean, series in zip(rows, means, values, strict=True)
    ]


def mark_of(p: float) -> str:
    """The mark of a corrected p; none for what is no number."""
    return next((mark for mark, below in MARKS if p < below), "")


def _caption(
    rows: Sequence[Row], protocol: str, text: ProtocolText, facts: DataFacts, metrics: Sequence[Metric], *, marked: bool
) -> str:
    repeats = dict.fromkeys(repeats_text([record.spec for record in row.records]) for row in rows)
    several = any(len(row.records) > 1 for row in rows)
    spread = f"{SPREAD} over {' or '.join(repeats)}" if several else "one seed, so no spread can be given"
    tests = ""
    if marked:
        tests = " * and ** differ from the baseline (paired t test, Holm-corrected, below 5 % and 1 %)."
        tests += averaged(rows)
    units = "in percent" + ("; distances in pixels" if any(metric.is_distance for metric in metrics) else "")
    return (
        f"{facts.title}, {facts.split_sentence}. {text.title} (protocol {protocol}): {spread}, {units}; best mean of "
        f"each column in bold, second underlined.{tests} {text.meaning}{_empty_masks(rows, protocol, facts)}"
        f"{_shared(rows)} {facts.source_sentence}"
    )


def _marked(row: Row) -> tuple[str, ...]:
    """The labels of a row, with the marks that its trials need."""
    random = any(record.random_start for record in row.records)
    marks = [mark for mark, needed in ((RANDOM, random), (TUNED, is_tuned(row))) if needed]
    return (*row.labels[:-1], " ".join([row.labels[-1], *marks]))


def _random_starts(rows: Sequence[Row]) -> str:
    """What the mark says, where one stands."""
    starts = [record.random_start for row in rows for record in row.records]
    if not any(starts):
        return ""
    return (
        f"{RANDOM} Pretrained weights were asked for if available; {sum(starts)} of all {len(starts)} trials could not "
        "have them and began from random ones."
    )


def _shared(rows: Sequence[Row]) -> str:
    """Why some rows show the trials of others."""
    reasons = dict.fromkeys(record.shared for row in rows for record in row.records if record.shared)
    return "".join(f" {reason}" for reason in reasons)


def _empty_masks(rows: Sequence[Row], protocol: str, facts: DataFacts) -> str:
    """How many predictions the rules for empty masks decided, over all trials; they matter image by image only."""
    if protocol != "per_image":
        return ""
    scores = [record.test[protocol] for row in rows for record in row.records]
    total, missed, invented, both = (
        int(sum(score.get(name, 0) for score in scores)) for name in ("images", "missed", "invented", "both_empty")
    )
    several = len(facts.classes) > 2
    unit, none = (" and classes", ", or left out beside others") if several else ("", "")
    return (
        f" Of {total * (len(facts.classes) - 1)} predictions (all trials{unit}), {missed} missed the "
        f"{' or the '.join(facts.classes[1:])} (scored 0), {invented} found one where there is none (scored 0) and "
        f"{both} rightly found none (scored 1{none})."
    )
