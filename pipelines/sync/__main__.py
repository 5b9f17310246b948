"""Bring MLflow level with the trials on disk: `python -m pipelines.sync --study quickstart`.

A grid does this by itself, while it runs and at its end. If MLflow was away then (server down, its disk full), do it by
hand later, as often as you like: each trial and each value is there once. By hand it also sends what only a finished
study has: of each data set the best network, as a model that MLflow can load, and the figures of the report.
"""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command, add_folder, add_study


def arguments(parser: ArgumentParser) -> None:
    add_study(parser)
    add_folder(parser, "trials", "where results lie")
    add_folder(parser, "reports", "where reports lie")
    parser.add_argument("--follow", action="store_true", help="go on until standard input ends, as for a running grid")


COMMAND = Command("sync", __doc__, arguments, "pipelines.sync.work")

if __name__ == "__main__":
    COMMAND.main()
