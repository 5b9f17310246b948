"""Carry finished trials over a change of code: `python -m pipelines.adopt --study NAME --why "moved a helper"`.

A trial's identifier covers the code that it runs, so a change of that code makes its trials unfinished, even one that
changes no number. This command trains a sample of them again with today's code. If all come out bit for bit, the others
are taken over under today's identifiers, and each record says who did that, when, why, and by which sample. Otherwise
it says where they part, and changes nothing.
"""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    add_study(parser)
    parser.add_argument("--why", required=True, help="what was changed, for the record")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="trained again, of each change (default: 1)")
    add_folder(parser, "data", "with prepared data")
    add_folder(parser, "trials", "where results lie")


COMMAND = Command("adopt", __doc__, arguments, "pipelines.adopt.work")

if __name__ == "__main__":
    COMMAND.main()
