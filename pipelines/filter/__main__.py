"""Resize every image to the sizes at which trials read it, and filter it bilaterally. Both versions and the targets are
kept as arrays."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_data_sets


def arguments(parser: ArgumentParser) -> None:
    add_data_sets(parser, pages="filter", sized=True)


COMMAND = Command("filter", __doc__, arguments, "pipelines.filter.work")

if __name__ == "__main__":
    COMMAND.main()
