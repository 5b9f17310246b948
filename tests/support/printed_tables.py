"""Finished trials of which only spec and scores are asked, and the cells of the tables that they fill."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dmf.training.spec import TrialSpec
from pipelines.report.data import DataFacts
from pipelines.report.printed.make import make_sheets
from pipelines.report.printed.matching import Trials
from pipelines.report.printed.sheet import Cell, Sheet, Unmade
from pipelines.trials.record import TrialRecord
from tests.support.grids import planned_trial
from tests.support.records import record_of_planned
from tests.support.report_trials import make_facts

Scores = Mapping[str, Mapping[str, float]]
ALONE = {"weighting": "fixed", "auxiliary": None}
SMALL = {"model_params": {"base_filters": 2, "depth": 2}, "image_size": 16, **ALONE}


def record(test: Scores, validation: Scores | None = None, folder: Path = Path(), **fields: Any) -> TrialRecord:
    """A finished trial of which only spec and scores are asked."""
    spec = TrialSpec(**{"seed": 0, **fields})
    told = {name: value for name, value in fields.items() if name not in ("seed", "split", "dataset")}
    planned = planned_trial("0" * 16, repr(told), spec, folder.parent)
    outcome = {"test": test, "validation": validation or {}, "epochs": 2, "best_epoch": 1}
    return record_of_planned(dataclasses.replace(planned, folder=folder), **outcome)


def fill(name: str, records: Sequence[TrialRecord], **facts: DataFacts) -> Sheet | Unmade:
    known = {r.spec.dataset: make_facts(r.spec.dataset) for r in records} | facts
    (sheet,) = make_sheets([name], Trials(records, known))
    return sheet


def made(name: str, records: Sequence[TrialRecord], **facts: DataFacts) -> Sheet:
    sheet = fill(name, records, **facts)
    assert isinstance(sheet, Sheet), sheet
    return sheet


def cell(sheet: Sheet, labels: Sequence[str], *heads: str) -> Cell:
    """The cell of a row, by its labels, and a column, by its heads."""
    (line,) = [line for line in sheet.lines if line.labels == tuple(labels)]
    (place,) = [place for place, found in enumerate(sheet.heads) if tuple(filter(None, found)) == heads]
    return line.cells[place]


def per_image(iou: float, dice: float, **more: float) -> Scores:
    return {"per_image": {"iou": iou, "dice": dice, **more}}
