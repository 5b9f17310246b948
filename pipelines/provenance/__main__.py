"""Where a number comes from, and the commands that give it again: `python -m pipelines.provenance --study NAME ...`.

Name trials, or a cell of a table by its configuration, protocol and metric; everything is read from the committed
report (reports/<study>) and from the record of the fetch, where the data are at hand.
"""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help="identifiers or their beginnings")
    add_study(parser, "whose report it is: reports/<study>")
    parser.add_argument("--cell", metavar="CONFIGURATION", help="of the tables, such as 'variance · cb_dice'")
    parser.add_argument("--dataset", help="of the cell (default: the only one)")
    parser.add_argument("--protocol", default="per_image", help="of the cell (default: per_image)")
    parser.add_argument("--metric", default="dice", help="of the cell (default: dice)")
    add_folder(parser, "data", "with fetched data")
    add_folder(parser, "reports", "of reports")


COMMAND = Command("provenance", __doc__, arguments, "pipelines.provenance.work")

if __name__ == "__main__":
    COMMAND.main()
