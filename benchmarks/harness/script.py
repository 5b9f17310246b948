"""A benchmark as a command: its setting from the command line, its figures on the screen and in a file."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.harness.machine import machine
from benchmarks.harness.measure import DEVICE
from benchmarks.harness.tables import Table, plainly, save

RESULTS = Path(__file__).resolve().parents[1] / "results"

Results = dict[str, Any]
S = TypeVar("S")
T = TypeVar("T")


class Main(Protocol):
    """Runs a benchmark with the arguments of the command line, or with given ones."""

    def __call__(self, arguments: Sequence[str] | None = None) -> None: ...


def option(default: T, help: str, choices: Sequence[str] = ()) -> T:
    """A field of a setting, which becomes an option of the command line; a tuple takes several values."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices or None})


def benchmark(
    name: str,
    doc: str | None,
    setting: type[S],
    measure: Callable[[S], Results],
    tables: Callable[[Results], Mapping[str, Table]] = plainly,
    file: str = "",
) -> Main:
    """The `main` of a script.

    It prints the tables and writes `<out>/<file>.json`: machine, setting, and what was measured.

    Args:
        name: Of the script.
        doc: What it says of itself; the first line describes the command.
        setting: A frozen dataclass whose fields are each an `option`.
        measure: Figures, by the setting.
        tables: What to show of the results, by title.
        file: Name of the file, if not the script's; fields of the setting and `{device}` may stand in it.
    """

    def main(arguments: Sequence[str] | None = None) -> None:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=(doc or "").splitlines()[0])
        parser.add_argument("--out", type=Path, default=RESULTS, help="folder of results (default: benchmarks/results)")
        add_options(parser, setting)
        given = vars(parser.parse_args(arguments))
        out = given.pop("out")
        chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        found = measure(setting(**chosen))
        kept = {"device": DEVICE.type} | {key: value for key, value in chosen.items() if not isinstance(value, Path)}
        results = {"machine": machine(), "setting": kept, **found}
        show(tables(results))
        write(out / f"{(file or name).format_map(kept)}.json", results)

    return main


def add_options(parser: argparse.ArgumentParser, setting: type) -> None:
    """An option for each field of a setting."""
    for field in dataclasses.fields(setting):
        values = field.default if isinstance(field.default, tuple) else (field.default,)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(values[0]),
            nargs="+" if values is field.default else None,
            default=field.default,
            choices=field.metadata["choices"],
            help=f"{field.metadata['help']} (default: {' '.join(map(str, values))})",
        )


def show(tables: Mapping[str, Table]) -> None:
    for title, table in tables.items():
        print(f"\n{title}\n{table.text()}", flush=True)


def write(path: Path, results: Mapping[str, Any]) -> None:
    """As JSON, whole or not at all."""
    save(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Results:
    """What `write` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
