"""The headline scores of a study as arrays: configurations by repeats, and by repeats and test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, Repeat, Row
from pipelines.report.names import HEADLINES, Metric
from pipelines.report.statistics.comparisons import scores_of
from pipelines.trials.columns import ImageColumns

# Which column of images.parquet is the headline score of an image, where the score is a mean over images.
IMAGE_SCORES = {("per_image", "dice"): "dice"}


@dataclass(frozen=True)
class ImageScores:
    """One score a configuration, seed and test image, of the images that every one of them was tested on.

    The folds of a cross-validation are one seed: together they test every image once.
    """

    images: tuple[str, ...]
    values: Float[np.ndarray, "C S I"]


@dataclass(frozen=True)
class Scores:
    """One headline score on one data set, in percent.

    Attributes:
        values: nan for a trial that is missing, and for one whose score is no number, as where it diverged.
        trained: Which trials are there.
        label: What the score is called.
        baseline: Place of the baseline among the configurations; None while it has no trial.
        images: None where the score is no mean over images, or the trials share too few of them.
    """

    dataset: str
    protocol: str
    metric: str
    label: str
    configurations: tuple[str, ...]
    repeats: tuple[Repeat, ...]
    values: Float[np.ndarray, "C R"]
    trained: Bool[np.ndarray, "C R"]
    baseline: int | None
    images: ImageScores | None

    @property
    def name(self) -> str:
        return f"{self.dataset}_{self.protocol}_{self.metric}"


def headline_scores(layout: Layout, facts: Mapping[str, DataFacts]) -> Iterator[Scores]:
    """Every headline score of every data set that its trials have."""
    for dataset in layout.datasets:
        rows = layout.rows[dataset]
        for protocol, metric, label in HEADLINES[facts[dataset].task]:
            if any(protocol not in row.records[0].test for row in rows):
                continue
            found = [scores_of(row, protocol, Metric(metric)) for row in rows]
            repeats = sorted({repeat for one in found for repeat in one})
            values = np.array([[one.get(repeat, np.nan) for repeat in repeats] for one in found])
            column = IMAGE_SCORES.get((protocol, metric))
            yield Scores(
                dataset,
                protocol,
                metric,
                label,
                tuple(row.configuration for row in rows),
                tuple(repeats),
                values,
                np.array([[repeat in one for repeat in repeats] for one in found]),
                next((place for place, row in enumerate(rows) if row.baseline), None),
                image_scores(rows, column) if column else None,
            )


def image_scores(rows: Sequence[Row], column: str) -> ImageScores | None:
    """The scores of the images that all trials share, in percent; None if these are fewer than two, or seeds differ."""
    by_row: list[dict[int, dict[str, float]]] = []
    for row in rows:
        seeds: dict[int, dict[str, float]] = {}
        for record in row.records:
            scored = zip(record.images[ImageColumns.image], record.images[column].astype(float), strict=True)
            seeds.setdefault(record.spec.seed, {}).update(scored)
        by_row.append(seeds)
    seeds_of_all = {tuple(sorted(seeds)) for seeds in by_row}
    everything = [scores for seeds in by_row for scores in seeds.values()]
    names = [name for name in everything[0] if all(name in scores for scores in everything)]
    if len(seeds_of_all) > 1 or len(names) < 2:
        return None
    order = seeds_of_all.pop()
    values = 100 * np.array([[[seeds[seed][name] for name in names] for seed in order] for seeds in by_row])
    known = np.isfinite(values).all(axis=(0, 1))
    if known.sum() < 2:
        return None
    return ImageScores(tuple(np.array(names, dtype=object)[known]), values[:, :, known])
