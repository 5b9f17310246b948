"""Train recorded trials again, from the committed report and the data alone, and compare.

Steps, networks, predictions and scores must be equal bit for bit where the environment is; where hardware, precision or
versions differ, within a stated tolerance. Exit status 1 if a trial is different, or its data are.
"""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help="identifiers or their beginnings")
    add_study(parser, "whose report is verified: reports/<study>")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--sample", type=int, metavar="N", help="so many trials, drawn at random (default: 1)")
    chosen.add_argument("--rows", action="store_true", help="one trial of each row of the tables")
    parser.add_argument(
        "--draw", type=int, default=0, metavar="SEED", help="what --sample and --rows draw by (default: 0)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="the first N steps only: a quick check")
    add_folder(parser, "data", "with prepared data")
    add_folder(parser, "reports", "of reports")


COMMAND = Command("verify", __doc__, arguments, "pipelines.verify.work")

if __name__ == "__main__":
    COMMAND.main()
