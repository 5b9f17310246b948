"""Group near duplicates and patients, and deal each data set into train, val and test."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_data_sets


def arguments(parser: ArgumentParser) -> None:
    add_data_sets(parser)


COMMAND = Command("split", __doc__, arguments, "pipelines.split.work")

if __name__ == "__main__":
    COMMAND.main()
