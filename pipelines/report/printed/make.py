"""The printed tables that a study names, made and written: `table_7.tex`, `.md`, `.csv`, and a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.papers.described import Layout, PrintedTable, described
from pipelines.report.environments import warning
from pipelines.report.printed.best import fill_best
from pipelines.report.printed.data import fill_images, fill_settings, no_trial_answers
from pipelines.report.printed.matching import Trials
from pipelines.report.printed.pivot import fill_pivot
from pipelines.report.printed.sheet import Sheet, Unmade
from pipelines.report.printed.writers import sheet_rows, sheet_to_latex, sheet_to_markdown
from pipelines.report.tidy import write_csv

INDEX = "printed.md"

LAYOUTS: dict[Layout, Callable[[PrintedTable, Trials], Sheet | Unmade]] = {
    "pivot": fill_pivot,
    "noise": fill_pivot,
    "best": fill_best,
    "images": fill_images,
    "settings": fill_settings,
    "survey": no_trial_answers,
}


def make_sheets(names: Sequence[str], trials: Trials) -> list[Sheet | Unmade]:
    """Each named table, filled, or why nothing of it can be.

    Raises:
        ConfigError: for a name that no paper's table has.
        StageError: for two tables of one number, whose files would be one.
    """
    tables = [described(name) for name in names]
    numbers = [table.number for table in tables]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise StageError(f"key `tables`: two tables have the number {twice[0]}. Name them in two studies.")
    mixed = [text for text in (warning(trials.records),) if text]
    return [_noted(LAYOUTS[table.layout](table, trials), *mixed) for table in tables]


def _noted(sheet: Sheet | Unmade, *notes: str) -> Sheet | Unmade:
    return replace(sheet, notes=(*sheet.notes, *notes)) if isinstance(sheet, Sheet) else sheet


def write_sheets(sheets: Iterable[Sheet | Unmade], folder: Path) -> None:
    """Three files for each table that is made, and `printed.md`, which says of every table where it is or why not."""
    lines = []
    for sheet in sheets:
        if isinstance(sheet, Unmade):
            lines.append(f"- {sheet.name}: not made, {sheet.reason}")
            continue
        (folder / f"{sheet.stem}.tex").write_text(sheet_to_latex(sheet))
        (folder / f"{sheet.stem}.md").write_text(sheet_to_markdown(sheet))
        write_csv(sheet_rows(sheet), folder / f"{sheet.stem}.csv")
        lines.append(f"- {sheet.name}: [{sheet.stem}.md]({sheet.stem}.md). {sheet.caption} {' '.join(sheet.notes)}")
    if lines:
        (folder / INDEX).write_text("\n".join(["# The papers' tables", "", *(line.rstrip() for line in lines), ""]))
