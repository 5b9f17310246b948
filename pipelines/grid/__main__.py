"""Run a study's trials: `python -m pipelines.grid --study quickstart`."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    add_study(parser)
    add_folder(parser, "data", "with prepared data")
    add_folder(parser, "trials", "where results go")
    parser.add_argument("--workers", type=int, help="trials at a time on this machine (default: one a core)")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and run nothing")


COMMAND = Command("grid", __doc__, arguments, "pipelines.grid.work")

if __name__ == "__main__":
    COMMAND.main()
