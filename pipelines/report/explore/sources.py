"""Where each number of the page comes from: its trials and what each of them scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.layout import Layout, Row, repeat_of
from pipelines.report.names import Metric
from pipelines.report.tables import Table


def trials_of(row: Row) -> list[list[Any]]:
    """Identifier, seed and fold of each trial of a configuration."""
    return [[record.identifier, *repeat_of(record.spec)] for record in row.records]


def scores_of(layout: Layout, tables: Sequence[Table]) -> dict[str, dict[str, dict[str, list[list[float | None]]]]]:
    """Data set, protocol and metric of every printed table to the printed scores of each row's trials."""
    found: dict[str, dict[str, dict[str, list[list[float | None]]]]] = {}
    for table in tables:
        rows = layout.rows[table.dataset]
        found.setdefault(table.dataset, {})[table.protocol] = {
            metric.name: [[_score(record.test, table.protocol, metric) for record in row.records] for row in rows]
            for metric in table.metrics
        }
    return found


def _score(test: Mapping[str, Mapping[str, float]], protocol: str, metric: Metric) -> float | None:
    value = metric.scale * test.get(protocol, {}).get(metric.name, math.nan)
    return round(value, 4) if math.isfinite(value) else None
