"""The tables that publishers put beside their images."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pipelines.core.console import StageError


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file that must have `columns`.

    Raises:
        StageError: if the file is missing or no text, a column is missing, or a row has an empty cell in one of them.
    """
    remedy = "Fetch the data set again."
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except FileNotFoundError:
        raise StageError(f"{path}: no such file. {remedy}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise StageError(f"{path}: not a table of comma-separated values ({error}). {remedy}") from None
    found = reader.fieldnames or ()
    if missing := [column for column in columns if column not in found]:
        raise StageError(f"{path}: expected the column {missing[0]!r}. Found {', '.join(found) or 'none'}. {remedy}")
    for number, row in enumerate(rows, start=2):
        if empty := [column for column in columns if not row[column]]:
            raise StageError(f"{path}, line {number}: {empty[0]!r} is empty. Fill it in or remove the row.")
    return rows
