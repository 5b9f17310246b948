"""The numbers that the papers print, read from `published/*.csv` into one typed table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tune_spaces.strict_yaml import StrictModel, read_yaml, validate

FOLDER = Path(__file__).parent / "published"

# What the papers call a loss, where our registry has another name for it.
_LOSSES = {
    "bce": "binary_cross_entropy",
    "categorical_cross_entropy": "cross_entropy",
    "mean_squared_error": "mse",
    "exp": "exponential",
}
_ROW_LEVEL = ("gflops", "loss_value")


class Source(StrictModel):
    """Where the numbers of a file stand. `unit` is "percent" or "fraction"."""

    title: str
    source: str
    tables: str
    unit: str


@dataclass(frozen=True)
class Printed:
    """One number of a paper's table.

    Attributes:
        table: The table's number; "abstract" or "README" for the paper whose tables are not public.
        losses: Base losses, by our registry's names, in printed order.
        auxiliary, weighting: Of the DMF paper; empty elsewhere (no auxiliary loss is "" too).
        task: "binary" or "multiclass" in the loss fusion paper.
        condition: What else tells a row apart, such as "fold 1".
        metric: As in the file; `gflops` and `loss_value` are metrics of their own.
        text: The number as it is printed, with its decimals.
        std: Printed standard deviation.
        unit: "percent" or "fraction" for scores; empty for GFLOPs and loss values.
    """

    paper: str
    table: str
    dataset: str
    architecture: str
    losses: tuple[str, ...]
    auxiliary: str
    weighting: str
    task: str
    condition: str
    metric: str
    text: str
    std: float | None
    unit: str

    @property
    def value(self) -> float:
        return float(self.text)

    @property
    def decimals(self) -> int:
        return len(self.text.partition(".")[2])

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed decimal: how far the number before printing may lie from it."""
        return 0.5 * 10.0**-self.decimals

    @property
    def row(self) -> tuple[str, ...]:
        """What the numbers of one printed row share."""
        named = (self.paper, self.table, self.dataset, self.task, self.architecture, "+".join(self.losses))
        return (*named, self.auxiliary, self.weighting, self.condition)

    @property
    def where(self) -> str:
        """Such as: table 3, bus_synthetic, tversky, variance, dice."""
        place = f"table {self.table}" if self.table.isdigit() else self.table
        named = [self.architecture, "+".join(self.losses), self.auxiliary, self.weighting, self.task, self.condition]
        if self.paper == "dmf":  # one network and one set of base losses
            named = [self.auxiliary or "no auxiliary", self.weighting]
        return ", ".join([place, self.dataset, *filter(None, named), self.metric])


@cache
def printed() -> tuple[Printed, ...]:
    """Every printed number of the four papers, in the order of the files."""
    return tuple(number for name in sources() for number in _read(name))


@cache
def sources() -> Mapping[str, Source]:
    """By file name, where its numbers stand."""
    path = FOLDER / "sources.yaml"
    return {name: validate(path, content, Source, within=name) for name, content in read_yaml(path).items()}


def select(numbers: Iterable[Printed], **fields: object) -> list[Printed]:
    """Those whose fields have the given values; a list or set of values stands for any of them."""

    def fits(number: Printed) -> bool:
        return all(
            getattr(number, name) in wanted if isinstance(wanted, list | set) else getattr(number, name) == wanted
            for name, wanted in fields.items()
        )

    return [number for number in numbers if fits(number)]


def rows(numbers: Iterable[Printed]) -> dict[tuple[str, ...], dict[str, Printed]]:
    """Printed rows: by `Printed.row`, the numbers of each metric."""
    found: dict[tuple[str, ...], dict[str, Printed]] = {}
    for number in numbers:
        found.setdefault(number.row, {})[number.metric] = number
    return found


def _read(name: str) -> Iterator[Printed]:
    source = sources()[name]
    seen: set[tuple[str, ...]] = set()
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            yield _number(line, line["metric"], line.get("mean") or line["value"], source.unit)
            for metric in _ROW_LEVEL:
                if line.get(metric):
                    number = _number(line, metric, line[metric], "")
                    if (key := (*number.row, metric)) not in seen:  # stands once for the row, and twice in the file
                        seen.add(key)
                        yield number


def _number(line: Mapping[str, str], metric: str, text: str, unit: str) -> Printed:
    losses = (line.get("losses") or line.get("loss") or "").split("+")
    table = {"abstract": "abstract", "public code README": "README"}.get(line.get("source", ""), line["table"])
    score = metric not in _ROW_LEVEL
    return Printed(
        paper=line["paper"],
        table=table,
        dataset=line["dataset"],
        architecture=line.get("architecture", ""),
        losses=tuple(_LOSSES.get(loss, loss) for loss in losses if loss),
        auxiliary=line.get("auxiliary", ""),
        weighting=line.get("weighting", ""),
        task=line.get("task", "") if metric != "loss_value" else "",
        condition=line.get("condition", ""),
        metric=metric,
        text=text,
        std=float(line["std"]) if score and line.get("std") else None,
        unit=unit,
    )
