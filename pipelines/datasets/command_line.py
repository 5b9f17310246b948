"""The arguments of the stages that work on data sets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.catalogue import find_entries, known_datasets
from pipelines.datasets.entry import DatasetEntry
from tune_spaces import load_study, study_names


@dataclass(frozen=True)
class Arguments:
    """Which data sets, the folder below which raw images, splits and arrays lie, and where pages about them go."""

    datasets: Sequence[DatasetEntry]
    root: Path
    reports: Path


def parse_arguments(stage: str, description: str | None, *, pages: str = "") -> Arguments:
    """Read `--study NAME` or `--dataset NAME ...`, `--root FOLDER`, and `--reports FOLDER` of a stage with `pages`.

    Raises:
        StageError, ConfigError: if there is no such data set or study, listing the known ones.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}", description=description)
    root = Path("data")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--study", metavar="NAME", help=f"the data sets of a study: {', '.join(study_names())}")
    which.add_argument("--dataset", metavar="NAME", nargs="+", help=f"by name: {', '.join(known_datasets(root))}")
    parser.add_argument("--root", type=Path, default=root, metavar="FOLDER", help="default: %(default)s")
    parser.set_defaults(reports=Path("reports") / pages)
    if pages:
        parser.add_argument("--reports", type=Path, metavar="FOLDER", help=f"default: reports/{pages}")
    options = parser.parse_args()
    entries = find_entries(options.dataset or load_study(options.study).datasets, options.root)
    return Arguments(entries, options.root, options.reports)
