"""Show pictures to the network of a finished trial.

A segmentation network writes two files a picture into the output folder: NAME_mask.png, whose pixels are class indices,
and NAME_overlay.png. A classifier prints the classes with their probabilities.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from pipelines.core.command import Command, add_folder, folder


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--trial", metavar="ID", required=True, help="the trial's identifier, or its beginning")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="pictures, or folders of pictures")
    parser.add_argument("--out", type=folder, metavar="FOLDER", help="default: predictions/<identifier>")
    add_folder(parser, "trials", "where results lie")


COMMAND = Command("predict", __doc__, arguments, "pipelines.predict.work")

if __name__ == "__main__":
    COMMAND.main()
