"""Where a grid stands, at any time and from any terminal: `python -m pipelines.status --study quickstart`.

Read from disk alone, so it asks nothing of a running grid and works without one.
"""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    add_study(parser)
    add_folder(parser, "data", "with prepared data")
    add_folder(parser, "trials", "where results lie")


COMMAND = Command("status", __doc__, arguments, "pipelines.status.work")

if __name__ == "__main__":
    COMMAND.main()
