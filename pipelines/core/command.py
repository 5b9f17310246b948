"""Commands as a person types them: `dmf NAME`, or `python -m pipelines.NAME`.

What a command takes is said in its `__main__`, which imports nothing but this; what it does lies in another module,
loaded once the arguments are understood. So help, a mistake and the shell's completion wait for no torch or pandas.
"""

from __future__ import annotations

import argparse
import gc
import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import shtab

STUDIES = {"bash": "_dmf_studies", "zsh": "_dmf_studies"}
"""How a shell completes a study's name: by these functions of its own."""

COMPLETION = {
    "bash": """_dmf_studies() { compgen -W "$(ls tune_spaces 2>/dev/null | sed -n 's/\\.yaml$//p')" -- "$1"; }""",
    "zsh": "_dmf_studies() { compadd -- tune_spaces/*.yaml(N:t:r) }",
}
"""What defines them, by shell."""


@dataclass(frozen=True)
class Command:
    """One of the platform's commands.

    Attributes:
        name: What is typed.
        about: What it is for, a docstring; its first sentence is the line in the list of commands.
        arguments: Adds them to a parser.
        work: The module whose `run(options)` does it.
    """

    name: str
    about: str
    arguments: Callable[[ArgumentParser], None]
    work: str

    @property
    def summary(self) -> str:
        """One line about it."""
        return " ".join(self.about.split()).partition(": ")[0].partition(". ")[0].removesuffix(".")

    def add_to(self, parser: ArgumentParser) -> ArgumentParser:
        """Make `parser` the one of this command."""
        parser.description = self.about
        parser.set_defaults(command=self)
        self.arguments(parser)
        return parser

    def parse(self, arguments: Sequence[str] | None = None) -> Namespace:
        """What the arguments say, by default those of the process."""
        return self.add_to(ArgumentParser(prog=f"python -m pipelines.{self.name}")).parse_args(arguments)

    def main(self) -> None:
        """What `python -m pipelines.NAME` does."""
        self.start(self.parse())

    def start(self, options: Namespace) -> None:
        """Do it, and end with one message if it cannot be done."""
        gc.disable()  # modules that load leave no garbage, and looking for it takes a quarter of their time
        from pipelines.core.console import run_stage  # and with it pydantic and rich

        run_stage(lambda: self._load().run(options))

    def _load(self) -> ModuleType:
        try:
            return importlib.import_module(self.work)
        finally:
            gc.enable()


def complete(option: argparse.Action, by: Mapping[str, object]) -> None:
    """Let shells complete an option's value."""
    option.complete = by  # type: ignore[attr-defined]


def add_study(parser: argparse._ActionsContainer, help: str = "name of a file in tune_spaces/, without .yaml") -> None:
    """`--study NAME`, which must be given."""
    complete(parser.add_argument("--study", required=True, metavar="NAME", help=help), STUDIES)


def add_folder(parser: ArgumentParser, name: str, help: str, default: str = "") -> None:
    """`--NAME FOLDER`, by default the folder of that name."""
    where = Path(default or name)
    option = parser.add_argument(
        f"--{name}", type=folder, default=where, metavar="FOLDER", help=f"{help} (default: {where})"
    )
    complete(option, shtab.DIRECTORY)


def folder(text: str) -> Path:
    """A folder by its path; an address is refused, which would be a path, too, to somewhere nobody means."""
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"{text} is an address, expected a folder. Mount the store as a file system that can rename folders "
            "(docs/cluster.md names some) and give the folder. `trials` need no shared disk: leave them on the "
            "driver's own, and workers send there what they save and finish."
        )
    return Path(text)


def add_data_sets(parser: ArgumentParser, *, pages: str = "", sized: bool = False) -> None:
    """`--study NAME` or `--dataset NAME ...`, and `--root FOLDER`.

    A stage with `pages` also takes `--reports FOLDER`, and one with sizes `--size PIXELS ...` of the data sets that are
    named; a study says itself at which sizes it trains.
    """
    which = parser.add_mutually_exclusive_group(required=True)
    complete(which.add_argument("--study", metavar="NAME", help="the data sets of a study in tune_spaces/"), STUDIES)
    which.add_argument("--dataset", metavar="NAME", nargs="+", help="by name in the catalogue")
    add_folder(parser, "root", "where raw images, splits and arrays lie", "data")
    parser.set_defaults(reports=Path("reports") / pages, size=None, sized=sized)
    if pages:
        add_folder(parser, "reports", "where pages go", f"reports/{pages}")
    if sized:
        parser.add_argument("--size", type=int, nargs="+", metavar="PIXELS", help="with --dataset: of the trials")
