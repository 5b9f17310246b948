"""What the stages that work on data sets are asked for."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.console import StageError
from tune_spaces import load_study
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


def chosen(options: Namespace) -> Arguments:
    """What `add_data_sets` of `pipelines.core.command` asked for.

    Raises:
        ConfigError: if there is no such study, listing the known ones, or it is not a proper one.
        StageError: if sizes are missing, too small, or given to a study.
    """
    study = load_study(options.study) if options.study else None
    datasets = list(dict.fromkeys(study.datasets if study else options.dataset))
    if not options.sized:
        return Arguments(datasets, options.root, options.reports, {})
    if bool(options.size) == bool(study):
        raise StageError("--size goes with --dataset, which needs it; a study says itself at which sizes it trains.")
    if any(size < SMALLEST for size in options.size or ()):
        raise StageError(f"--size is in pixels, a whole number of at least {SMALLEST}. Found {min(options.size)}.")
    sizes = {name: study.image_sizes(name) if study else options.size for name in datasets}
    return Arguments(datasets, options.root, options.reports, sizes)
