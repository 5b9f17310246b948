"""Look at a folder of images, or a zip or tar archive, and print an entry for data/catalogue.yaml that reads it:
`python -m pipelines.describe ../scans >> data/catalogue.yaml`. What it cannot know stands in comments: read them, and
correct the entry."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from pipelines.core.command import Command, add_folder


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder, or an archive of one")
    add_folder(parser, "root", "with the catalogue of your own", "data")


COMMAND = Command("describe", __doc__, arguments, "pipelines.describe.work")

if __name__ == "__main__":
    COMMAND.main()
