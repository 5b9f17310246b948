"""Look at every image and mask of a data set: what is there, what is odd, and which images show the same picture.
Writes <root>/audit/<dataset>.json, from which the split is made, and <reports>/<dataset>.{json,md,html} to look at."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_data_sets


def arguments(parser: ArgumentParser) -> None:
    add_data_sets(parser, pages="data")


COMMAND = Command("audit", __doc__, arguments, "pipelines.audit.work")

if __name__ == "__main__":
    COMMAND.main()
