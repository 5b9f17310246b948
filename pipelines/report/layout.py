"""Which fields of the specs vary in a study, and so which rows its tables and panels its figures have."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmf.training.spec import TrialSpec
from pipelines.report.names import Metric, printed
from pipelines.trials.finished import Missing
from pipelines.trials.record import TrialRecord
from tune_spaces.tuned import as_written

# What the method is made of comes last, next to the numbers; what it is tried on comes first.
_INNER = ("gamma0", "tau", "tick", "auxiliary", "weighting", "weighting_params")
# A column whenever they vary; other fields only when they are needed to tell two configurations apart.
_ESSENTIAL = ("model", "losses", "fidelity", "auxiliary", "weighting")
NONE = {"activation": "The network's own"}
_NEVER = ("dataset", "seed")
FOLD = "fold:"
Repeat = tuple[int, str]
"""A seed and, in a cross-validation, a fold."""


@dataclass(frozen=True)
class Row:
    """One configuration on one data set, with its trials in the order of their repeats (seed, then fold).

    Attributes:
        labels: printed value of each axis of the layout.
        baseline: whether the other configurations are compared with this one.
    """

    dataset: str
    configuration: str
    labels: tuple[str, ...]
    records: tuple[TrialRecord, ...]
    baseline: bool

    @property
    def spec(self) -> TrialSpec:
        """The spec of its first seed."""
        return self.records[0].spec

    @property
    def repeats(self) -> list[Repeat]:
        return [repeat_of(record.spec) for record in self.records]

    @property
    def block(self) -> tuple[str, ...]:
        """Rows of one block stand together; the baseline stands alone."""
        return ("baseline",) if self.baseline else self.labels[:-1]


@dataclass(frozen=True)
class Layout:
    """Which fields make the columns of labels, and which configurations the rows.

    Attributes:
        axes: spec fields that vary, outermost first.
        rows: those of each data set, in print order.
        common: of axes that hold parameters, those that all rows have in common and no label repeats.
    """

    axes: tuple[str, ...]
    rows: Mapping[str, tuple[Row, ...]]
    common: Mapping[str, Mapping[str, Any]]

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(self.rows)

    def baseline(self, dataset: str) -> Row | None:
        """The row that the others of a data set are compared with; None while it has no trial."""
        return next((row for row in self.rows[dataset] if row.baseline), None)


def lay_out(records: Sequence[TrialRecord], baseline: str, missing: Sequence[Missing] = ()) -> Layout:
    """Arrange finished trials, given in the study's order, into rows; `baseline` is the name of a configuration.

    Cells that are `missing` make no rows yet, but count where it is asked what tells rows apart.
    """
    cells: list[TrialRecord | Missing] = [*records, *missing]
    undealt = _undealt(cells)
    specs = [undealt(cell) for cell in cells]
    axes = _axes(specs)
    common = {axis: _common([getattr(spec, axis) for spec in specs]) for axis in axes}

    def labels(record: TrialRecord) -> tuple[str, ...]:
        return tuple(value_label(undealt(record), axis, without=common[axis]) for axis in axes)

    by_axis = zip(*map(labels, records), strict=True)
    order = dict(zip(axes, (list(dict.fromkeys(found)) for found in by_axis), strict=True))
    by_dataset: dict[str, dict[str, list[TrialRecord]]] = {}
    for record in records:
        by_dataset.setdefault(record.spec.dataset, {}).setdefault(record.configuration, []).append(record)
    return Layout(
        axes,
        {dataset: _rows(dataset, members, labels, order, baseline) for dataset, members in by_dataset.items()},
        {axis: parameters for axis, parameters in common.items() if parameters},
    )


def _rows(
    dataset: str,
    configurations: Mapping[str, list[TrialRecord]],
    labels: Callable[[TrialRecord], tuple[str, ...]],
    order: Mapping[str, list[str]],
    baseline: str,
) -> tuple[Row, ...]:
    rows = [
        Row(
            dataset=dataset,
            configuration=configuration,
            labels=labels(members[0]),
            records=tuple(sorted(members, key=lambda record: repeat_of(record.spec))),
            baseline=configuration == baseline,
        )
        for configuration, members in configurations.items()
    ]

    def place(row: Row) -> tuple[bool, list[int]]:
        return row.baseline, [known.index(label) for known, label in zip(order.values(), row.labels, strict=True)]

    return tuple(sorted(rows, key=place))


def _undealt(cells: Sequence[TrialRecord | Missing]) -> Callable[[TrialRecord | Missing], TrialSpec]:
    """Specs by which rows are told apart: where the trials of one are dealt differently, without fold or seed; of a
    tuned row as its study has it, whatever values its searches have found."""
    splits: dict[tuple[str, str], set[str]] = {}
    for cell in cells:
        splits.setdefault((cell.spec.dataset, cell.configuration), set()).add(cell.spec.split)

    def undealt(cell: TrialRecord | Missing) -> TrialSpec:
        alike = len(splits[cell.spec.dataset, cell.configuration]) == 1
        spec = cell.spec if alike else dataclasses.replace(cell.spec, split=way_of(cell.spec.split))
        tuning = cell.tuning if isinstance(cell, TrialRecord) else None
        return spec if tuning is None else as_written(spec, tuning.keys)

    return undealt


def way_of(split: str) -> str:
    """How images are dealt, without the fold or the seed: `fold:3` -> fold, `random:0:70-10-20` -> random:70-10-20."""
    return re.sub(r":\d+", "", split, count=1)


def repeat_of(spec: TrialSpec) -> Repeat:
    """What tells trials of one configuration apart."""
    return spec.seed, spec.split if spec.split.startswith(FOLD) else ""


def averaged(rows: Sequence[Row]) -> str:
    """What becomes of several seeds of each fold where rows are compared; empty where there are none."""
    seeds, folds = (len({repeat[place] for row in rows for repeat in row.repeats}) for place in (0, 1))
    told = " For comparisons the seeds of a fold are averaged first: they share its test images."
    return told if min(seeds, folds) > 1 else ""


def repeats_text(specs: Sequence[TrialSpec]) -> str:
    """Such as: 3 seeds; 5 folds; 2 seeds x 5 folds; one seed."""
    seeds, folds = ({repeat[place] for repeat in map(repeat_of, specs)} - {""} for place in (0, 1))
    if not folds:
        return f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    return f"{len(seeds)} seeds x {len(folds)} folds" if len(seeds) > 1 else f"{len(folds)} folds"


def value_label(spec: TrialSpec, axis: str, without: Collection[str] = ()) -> str:
    """The printed value of a field: `cb_dice` -> CB-Dice, mappings as `name=value`, `without` some."""
    value = getattr(spec, axis)
    if isinstance(value, Mapping):
        return ", ".join(_items({name: value[name] for name in sorted(value) if name not in without})) or "defaults"
    if value is None:
        return NONE.get(axis, "None")
    if isinstance(value, tuple):
        return " + ".join(printed(str(item)) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printed(value) if isinstance(value, str) else f"{value:g}"


def _items(values: Mapping[str, Any], path: str = "") -> list[str]:
    """`name=value` of each entry, in mappings of mappings `outer.name=value`."""
    items: list[str] = []
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        items += _items(value, f"{path}{name}.") if inner else [f"{path}{name}={value}"]
    return items


def _common(values: Sequence[Any]) -> dict[str, Any]:
    """What all of these mappings hold alike: it tells nothing apart."""
    if not all(isinstance(value, Mapping) for value in values):
        return {}
    return {name: one for name, one in values[0].items() if all(value.get(name) == one for value in values)}


def mean_score(row: Row, protocol: str, metric: str) -> float:
    """Mean over a row's repeats of a score of its test images, as it is printed; not a number where one lacks it."""
    scores = [record.test.get(protocol, {}).get(metric, math.nan) for record in row.records]
    return Metric(metric).scale * sum(scores) / len(scores)


def _axes(specs: Sequence[TrialSpec]) -> tuple[str, ...]:
    names = [field.name for field in dataclasses.fields(TrialSpec) if field.name not in _NEVER]
    ordered = [name for name in names if name not in _INNER] + list(_INNER)
    axes = [name for name in ordered if _varies(specs, name)]
    for name in [axis for axis in reversed(axes) if axis not in _ESSENTIAL]:
        fewer = [axis for axis in axes if axis != name]
        if _distinct(specs, fewer) == _distinct(specs, axes):
            axes = fewer
    return tuple(axes) or ("auxiliary", "weighting")


def _varies(specs: Sequence[TrialSpec], name: str) -> bool:
    """Whether configurations differ in a field on one data set; what differs between data sets only is no axis."""
    found = {(spec.dataset, value_label(spec, name)) for spec in specs}
    return len(found) > len({spec.dataset for spec in specs})


def _distinct(specs: Sequence[TrialSpec], axes: Sequence[str]) -> int:
    return len({tuple(value_label(spec, axis) for axis in axes) for spec in specs})
