"""The arguments of the stages that work on data sets."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.catalogue import known_datasets
from tune_spaces import load_study, study_names
from tune_spaces.study import SMALLEST


@dataclass(frozen=True)
class Arguments:
    """What a stage is asked for.

    Attributes:
        datasets: Names of data sets.
        root: The folder below which raw images, splits and arrays lie.
        reports: Where pages about the data sets go.
        sizes: Of a stage with sizes: by data set, the sides in pixels of the arrays that trials read.
    """

    datasets: Sequence[str]
    root: Path
    reports: Path
    sizes: Mapping[str, Sequence[int]]


def parse_arguments(stage: str, description: str | None, *, pages: str = "", sized: bool = False) -> Arguments:
    """Read `--study NAME` or `--dataset NAME ...` and `--root FOLDER`.

    A stage with `pages` also takes `--reports FOLDER`, and one with sizes `--size PIXELS ...` of the data sets that are
    named; a study says itself at which sizes it trains.

    Raises:
        ConfigError: if there is no such study, listing the known ones, or it is not a proper one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}", description=description)
    root = Path("data")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--study", metavar="NAME", help=f"the data sets of a study: {', '.join(study_names())}")
    which.add_argument("--dataset", metavar="NAME", nargs="+", help=f"by name: {', '.join(known_datasets(root))}")
    parser.add_argument("--root", type=Path, default=root, metavar="FOLDER", help="default: %(default)s")
    parser.set_defaults(reports=Path("reports") / pages, size=[])
    if pages:
        parser.add_argument("--reports", type=Path, metavar="FOLDER", help=f"default: reports/{pages}")
    if sized:
        parser.add_argument(
            "--size", type=_pixels, nargs="+", metavar="PIXELS", help="with --dataset: `image_size` of the trials"
        )
    options = parser.parse_args()
    if sized and bool(options.size) == bool(options.study):
        parser.error("--size goes with --dataset, which needs it; a study says itself at which sizes it trains")
    study = load_study(options.study) if options.study else None
    datasets = list(dict.fromkeys(study.datasets if study else options.dataset))
    sizes = {name: study.image_sizes(name) if study and sized else options.size for name in datasets}
    return Arguments(datasets, options.root, options.reports, sizes)


def _pixels(text: str) -> int:
    if not text.isdecimal() or int(text) < SMALLEST:
        raise argparse.ArgumentTypeError(f"expected pixels, a whole number of at least {SMALLEST}. Found {text!r}.")
    return int(text)
