"""Where a rerun parts from the record, and what that means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from dmf.metrics import METRICS
from pipelines.trials.columns import HistoryColumns, ImageColumns
from pipelines.trials.digests import PAIRED, WEIGHTS, predictions_digest, steps_digest
from pipelines.trials.environment import Environment
from pipelines.trials.identity import identifier
from pipelines.trials.record import Scores, TrialRecord
from pipelines.verify.rerun import Rerun

TOLERANCES = {"fp32": 5e-3, "bf16": 0.05}
"""Largest relative difference of a loss or weight in the first `HELD` steps where hardware, precision or versions
differ, by the coarser precision: three times what AVX2 in the place of AVX-512 was seen to do to the quickstart (1.5e-3
and 1.5e-2). Rounding grows from step to step, so later ones say less about the code."""

HELD = 10
SCORES = 0.1
"""Largest difference of a test score of the whole data set (a fraction) there. Two roundings of one small training end
at networks as different as those of two seeds are."""


class Outcome(StrEnum):
    """What a rerun says about a record, from best to worst."""

    IDENTICAL = "bit for bit"
    CLOSE = "within tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        what: Of what it is.
        where: Epoch, step, image or name of the first place.
        recorded, found: There, in words.
        serious: Whether it is beyond what rounding may do.
    """

    what: str
    where: str
    recorded: str
    found: str
    serious: bool

    @property
    def sentence(self) -> str:
        """For the console."""
        return f"{self.what}, {self.where}: recorded {self.recorded}, found {self.found}"


@dataclass(frozen=True)
class Comparison:
    """A record and its rerun; `plugins` says which components are of other packages."""

    record: TrialRecord
    plugins: tuple[str, ...]
    surroundings: tuple[Difference, ...]
    differences: tuple[Difference, ...]
    steps: int
    whole: bool

    @property
    def outcome(self) -> Outcome:
        """The worst of the differences; those of the surroundings only explain them."""
        if not self.differences:
            return Outcome.IDENTICAL
        return Outcome.DIFFERENT if any(one.serious for one in self.differences) else Outcome.CLOSE


def compare(record: TrialRecord, found: Rerun, plugins: Iterable[str] = ()) -> Comparison:
    """All differences: of the record with itself, of what went in, of steps, epochs, predictions and scores."""
    alike = record.environment.digits(record.spec.precision) == found.environment.digits(record.spec.precision)
    differences = (
        *self_consistency(record),
        *_inputs(record, found),
        *_steps(record, found, alike=alike),
        *_epochs(record, found.epochs, alike=alike),
        *_result(record, found, alike=alike),
    )
    around = tuple(surroundings(record.environment, found.environment))
    return Comparison(record, tuple(plugins), around, differences, len(found.history), found.result is not None)


def surroundings(recorded: Environment, found: Environment) -> Iterator[Difference]:
    """Every field of the environment that differs, but for the name of the machine."""
    for name in Environment.model_fields:
        one, other = getattr(recorded, name), getattr(found, name)
        if name != "node" and one != other:
            yield Difference("environment", name, _text(one), _text(other), serious=False)


def self_consistency(record: TrialRecord) -> Iterator[Difference]:
    """Whether a record is still what it says itself: its identifier, the digests of its steps and predictions."""
    name = identifier(record.spec, record.data_checksum, record.code_fingerprint)
    if name != record.identifier:
        yield Difference("record", "identifier of spec, data and code", record.identifier, name, serious=True)
    for what, stored in (
        ("steps", steps_digest(record.history)),
        ("predictions", predictions_digest(np.array([*record.predictions]), np.stack([*record.predictions.values()]))),
    ):
        told = getattr(record.digests, what)
        if told != stored:
            yield Difference("record", f"digest of the stored {what}", told, stored, serious=True)


def _inputs(record: TrialRecord, found: Rerun) -> Iterator[Difference]:
    for name in PAIRED:
        told = getattr(record.digests, name)
        if found.digests.get(name, told) != told:
            yield Difference("digest", name.replace("_", " "), told, found.digests[name], serious=True)


def _steps(record: TrialRecord, found: Rerun, *, alike: bool) -> Iterator[Difference]:
    recorded = record.history.iloc[: len(found.history)]
    names = HistoryColumns.of(record.spec.losses)
    told, now = (frame[[*names]].to_numpy(np.float32) for frame in (recorded, found.history))
    if told.shape != now.shape:
        yield Difference("steps", "their number", str(len(told)), str(len(now)), serious=True)
        return
    places = np.argwhere(told.view(np.uint32) != now.view(np.uint32))
    if not len(places):
        return
    row, column = places[0]
    step, epoch = (int(recorded[name].iloc[row]) for name in (HistoryColumns.step, HistoryColumns.epoch))
    held = slice(None) if alike else slice(HELD)
    largest = float(np.nanmax(_relative(told[held], now[held]), initial=0.0))
    limit = 0.0 if alike else max(map(_tolerance, (record.environment, found.environment)))
    size = f"{_relative(told[row, column], now[row, column]):.1e} of it"
    where = f"first at epoch {epoch}, step {step}, {names[column]} ({size})"
    serious = largest > limit or not np.isfinite(largest)
    yield Difference("steps", where, repr(float(told[row, column])), repr(float(now[row, column])), serious)


def _epochs(record: TrialRecord, found: pd.DataFrame, *, alike: bool) -> Iterator[Difference]:
    if found.empty:
        return
    told, now = record.epoch_table[WEIGHTS].to_list(), found[WEIGHTS].to_list()
    for epoch, (one, other) in enumerate(zip(told, now, strict=False)):
        if one != other:
            yield Difference("network", f"first after epoch {epoch}", one, other, serious=alike)
            return


def _result(record: TrialRecord, found: Rerun, *, alike: bool) -> Iterator[Difference]:
    if found.result is None:
        return
    if found.digests["weights"] != record.digests.weights:
        told, now = record.digests.weights, found.digests["weights"]
        yield Difference("network", "that was tested", told, now, serious=alike)
    yield from _predictions(record, found.result.rows, found.result.predictions, alike=alike)
    yield from _scores(record.test, found.result.test, alike=alike)


def _predictions(record: TrialRecord, rows: np.ndarray, classes: np.ndarray, *, alike: bool) -> Iterator[Difference]:
    told = record.predictions
    if [*told] != rows.tolist():
        yield Difference("predictions", "test images", str(len(told)), str(len(rows)), serious=True)
        return
    off = [int((mask != told[row]).sum()) for row, mask in zip(rows.tolist(), classes, strict=True)]
    if not any(off):
        return
    first, whole = next(number for number, count in enumerate(off) if count), classes[0].size
    where = f"{sum(map(bool, off))} of {len(off)} images, first {record.images[ImageColumns.image].iloc[first]}"
    yield Difference("predictions", where, f"{whole} pixels", f"{off[first]} of them others", serious=alike)


def _scores(told: Scores, now: Scores, *, alike: bool) -> Iterator[Difference]:
    pairs = [(f"{p}/{m}", value, now[p][m]) for p, metrics in told.items() for m, value in metrics.items()]
    off = [pair for pair in pairs if not _same(*pair[1:])]
    if not off:
        return
    name, one, other = max(off, key=lambda pair: (_is_share(pair[0]), abs(pair[1] - pair[2])))
    serious = alike or (_is_share(name) and not abs(one - other) <= SCORES)
    yield Difference("test scores", f"{len(off)} of {len(pairs)}, most {name}", repr(one), repr(other), serious)


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def _is_share(name: str) -> bool:
    """Whether a score lies between 0 and 1: distances and numbers of images have no such scale."""
    return name.rpartition("/")[2] in METRICS


def _relative(told: np.ndarray, now: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(told == now, 0.0, np.abs(now - told) / np.maximum(np.abs(told), 1e-12))


def _tolerance(environment: Environment) -> float:
    return TOLERANCES[environment.precision.partition(" ")[0]]


def _text(value: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
