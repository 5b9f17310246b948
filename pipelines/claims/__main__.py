"""What finished trials say about the papers' claims and a study's own: `python -m pipelines.claims --study NAME`.

Each claim is supported, contradicted, undecided, or not tested and why (docs/claims.md). Verdicts also become tags of
the study's experiment in MLflow, where there is one.
"""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import STUDIES, Command, add_folder, complete


def arguments(parser: ArgumentParser) -> None:
    about = "default: every study that a paper's claim names"
    complete(parser.add_argument("--study", nargs="+", metavar="NAME", help=about), STUDIES)
    add_folder(parser, "trials", "where results lie")
    add_folder(parser, "data", "with prepared data")


COMMAND = Command("claims", __doc__, arguments, "pipelines.claims.work")

if __name__ == "__main__":
    COMMAND.main()
