"""Tables, figures and page of a finished study: `python -m pipelines.report --study NAME`."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    add_study(parser)
    add_folder(parser, "trials", "where results lie")
    add_folder(parser, "data", "with prepared data")
    add_folder(parser, "reports", "where <study>/ is written")
    parser.add_argument(
        "--partial", action="store_true", help="report what has finished, on a running grid too; no claim has a verdict"
    )


COMMAND = Command("report", __doc__, arguments, "pipelines.report.work")

if __name__ == "__main__":
    COMMAND.main()
