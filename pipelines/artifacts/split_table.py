"""The table that the split stage writes: data/splits/<dataset>.csv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipelines.core.console import StageError
from pipelines.core.files import write_atomically
from pipelines.datasets.split_methods import METHODS, SPLITS

COLUMNS = ("image", "masks", "label", "group", "split", *METHODS, "fold", "published", "sha256")


def table_path(root: Path, dataset: str) -> Path:
    """Where the table of a data set lies."""
    return root / "splits" / f"{dataset}.csv"


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write atomically; the same table gives the same bytes on every system."""
    write_atomically(path, lambda partial: table.to_csv(partial, index=False, lineterminator="\n"))


def read_table(path: Path) -> pd.DataFrame:
    """Read what `write_table` wrote.

    Raises:
        StageError: if it is missing, empty, or has other columns or splits.
    """
    remedy = "Make it with `dvc repro split`."
    if not path.is_file():
        raise StageError(f"{path} is missing. {remedy}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: not a table ({error}). {remedy}") from None
    if tuple(table.columns) != COLUMNS:
        found = ", ".join(map(str, table.columns))
        raise StageError(f"{path}: expected the columns {', '.join(COLUMNS)}. Found {found}. {remedy}")
    for column in ("split", *METHODS):
        if unknown := sorted(set(table[column]) - {*SPLITS, ""}):
            expected = f"column `{column}` must be one of {', '.join(SPLITS)} or empty"
            raise StageError(f"{path}: {expected}. Found {unknown[0]!r}. {remedy}")
    if table.empty:
        raise StageError(f"{path}: no cases. {remedy}")
    return table
