"""What a person sees of a stage: progress while it runs, and one clear message when it cannot go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tune_spaces import ConfigError

Item = TypeVar("Item")

WIDE = 200
"""Columns of a table in a log file."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class StageError(Exception):
    """Something the person can mend. The message names the file, the value, what was expected and what to do."""


def say(message: str) -> None:
    """One line about what the stage did."""
    print(message, flush=True)


def show(table: Table) -> None:
    """A table, at full width where there is no terminal to fit it to."""
    (out if out.is_terminal else Console(highlight=False, width=WIDE)).print(table, markup=False)


def bar(*, unit: str = "", transient: bool = True) -> Progress:
    """A progress bar on stderr; silent where stderr is no terminal, so that logs stay readable."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    return Progress(
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=transient,
        disable=not err.is_terminal,
    )


def track(items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "") -> Iterator[Item]:
    """Iterate over `items` behind a bar."""
    with bar(unit=unit) as progress:
        yield from progress.track(items, total=total, description=description)


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage's main function; what a person can mend becomes one message and exit status 1, Ctrl-C status 130."""
    try:
        stage()
    except (StageError, ConfigError) as error:
        err.print(f"error: {error}", style="bold red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("Stopped by Ctrl-C; what was finished is kept.", markup=False)
        sys.exit(130)
