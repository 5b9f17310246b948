"""Fetch data sets.

    python -m pipelines.fetch --study quickstart
    python -m pipelines.fetch --dataset busi phantom

Brings every data set to <root>/raw/<name>, verified and complete or not at all; a second run changes nothing.
Archives are kept in <root>/downloads; a file that a person placed there is used instead of the network.
DMF_DATA_MIRROR names a folder of copies, described by its mirror.yaml, to use instead of the network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipelines.catalogue import find_entries, load_catalogue
from pipelines.console import StageError, run_stage
from pipelines.fetch import fetch, mirror_from_environment
from tune_spaces import ConfigError, load_study, study_names


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch the data sets that the command line names."""
    options = build_parser().parse_args(arguments)
    try:
        names = options.dataset or load_study(options.study).datasets
    except ConfigError as error:
        raise StageError(str(error)) from None
    mirror = mirror_from_environment()
    for entry in find_entries(names):
        fetch(entry, options.root, mirror)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.fetch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--study", metavar="NAME", help=f"the data sets of a study: {', '.join(study_names())}")
    which.add_argument("--dataset", metavar="NAME", nargs="+", help=f"by name: {', '.join(load_catalogue())}")
    parser.add_argument("--root", type=Path, default=Path("data"), metavar="FOLDER", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    run_stage(main)
