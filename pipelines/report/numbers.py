"""A study's main numbers as a small file, which `dvc metrics` and `dvc exp show` read without opening a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, Row, mean_score
from pipelines.report.names import HEADLINES

METRICS = "metrics.json"


def write_numbers(layout: Layout, facts: Mapping[str, DataFacts], folder: Path) -> None:
    """metrics.json: of each data set and headline score the baseline, the best configuration and its lead."""
    records = [record for rows in layout.rows.values() for row in rows for record in row.records]
    numbers: dict[str, Any] = {
        "trials": len(records),
        "training_hours": round(sum(record.seconds for record in records) / 3600, 4),
    }
    for dataset in layout.datasets:
        numbers[dataset] = {
            f"{protocol}_{metric}": told
            for protocol, metric, _ in HEADLINES[facts[dataset].task]
            if (told := _told(layout, dataset, protocol, metric))
        }
    (folder / METRICS).write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")


def _told(layout: Layout, dataset: str, protocol: str, metric: str) -> dict[str, Any]:
    """Mean scores over repeats, in percent; of configurations that are equally good the first is the best."""

    def mean(row: Row) -> float:
        return mean_score(row, protocol, metric)

    finite = [row for row in layout.rows[dataset] if math.isfinite(mean(row))]
    if not finite:
        return {}
    best, against = max(finite, key=mean), layout.baseline(dataset)
    baseline = mean(against) if against else math.nan
    told: dict[str, Any] = {"best": round(mean(best), 4), "configuration": best.configuration}
    if math.isfinite(baseline):
        told |= {"baseline": round(baseline, 4), "lead": round(mean(best) - baseline, 4)}
    return told
