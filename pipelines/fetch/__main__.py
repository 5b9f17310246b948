"""Bring data sets to <root>/raw/<name>: verified, and complete or not at all. A second run changes nothing. Archives
stay in <root>/downloads; a file that a person placed there is used instead of the network. DMF_DATA_MIRROR names a
folder with copies of data sets, described by its mirror.yaml, to use instead of the network. Data sets of your own
are described in <root>/catalogue.yaml, see docs/data.md."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_data_sets


def arguments(parser: ArgumentParser) -> None:
    add_data_sets(parser)


COMMAND = Command("fetch", __doc__, arguments, "pipelines.fetch.work")

if __name__ == "__main__":
    COMMAND.main()
