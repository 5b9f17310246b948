"""Tables for CSV, how they are written, and two of them: every score, one a row, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines.report.layout import Layout, repeat_of
from pipelines.trials.finished import Missing


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Eight significant digits; what is no number as `nan`."""
    table.to_csv(path, index=False, float_format="%.8g", na_rep="nan", lineterminator="\n")


def score_table(layout: Layout) -> pd.DataFrame:
    """Every score of every trial: one row a (trial, split, protocol, metric); values are fractions.

    An axis of the study that is called like a column of its own, such as `split`, becomes `spec_split`.
    """
    own = ("identifier", "seed", "fold", "split", "protocol", "metric", "value")
    axes = [f"spec_{axis}" if axis in own else axis for axis in layout.axes]
    return pd.DataFrame.from_records(
        [
            (*of_row, record.identifier, record.spec.seed, repeat_of(record.spec)[1], split, protocol, metric, value)
            for dataset in layout.datasets
            for row in layout.rows[dataset]
            for of_row in [(row.dataset, row.configuration, *row.labels, row.baseline)]
            for record in row.records
            for split, scores in (("test", record.test), ("validation", record.validation))
            for protocol, values in scores.items()
            for metric, value in values.items()
        ],
        columns=["dataset", "configuration", *axes, "baseline", *own],
    )


def summary_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation (ddof = 1) over seeds of `score_table`; a score that is no number stays so."""
    keys = [name for name in scores.columns if name not in ("identifier", "seed", "fold", "value")]
    grouped = scores.groupby(keys, sort=False, dropna=False)["value"]
    return pd.DataFrame(
        {"repeats": grouped.size(), "mean": grouped.mean(skipna=False), "std": grouped.std(skipna=False)}
    ).reset_index()


def missing_table(missing: Sequence[Missing]) -> pd.DataFrame:
    """One row a cell, for CSV."""
    return pd.DataFrame(
        {
            "dataset": one.spec.dataset,
            "configuration": one.configuration,
            "seed": one.spec.seed,
            "fold": repeat_of(one.spec)[1],
            "identifier": one.identifier,
            "failed": one.failed,
            "cause": one.cause,
        }
        for one in missing
    )
