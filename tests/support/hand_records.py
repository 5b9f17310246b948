"""Finished trials made by hand: only what a claim looks at, without a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dmf.training.spec import TrialSpec
from pipelines.papers.evidence import Truth
from pipelines.trials.tuning import Tuning
from tune_spaces import load_study
from tune_spaces.expand import expand

METRICS = ("dice", "iou", "f1", "precision", "recall", "sensitivity", "specificity", "accuracy", "cb_dice")
SEGMENTED, CLASSIFIED = ("reference", "per_image", "pooled"), ("macro", "weighted")


@dataclass
class HandRecord:
    """A trial whose numbers are given."""

    spec: TrialSpec
    configuration: str
    test: dict[str, dict[str, float]] = field(default_factory=dict)
    validation: dict[str, dict[str, float]] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    epoch_table: pd.DataFrame = field(default_factory=pd.DataFrame)
    images: pd.DataFrame = field(default_factory=pd.DataFrame)
    tuning: Tuning | None = None


def scored(scores: Mapping[str, Sequence[float]], metric: str = "dice", **spec: Any) -> list[HandRecord]:
    """Trials by weighting: one a score (a fraction), by seed, under the protocol per_image."""
    return [
        with_score(value, seed, metric, weighting=weighting, **spec)
        for weighting, values in scores.items()
        for seed, value in enumerate(values)
    ]


def with_score(value: float, seed: int, metric: str = "dice", **spec: Any) -> HandRecord:
    """One trial with one score, on test and validation images."""
    given = {"dataset": "phantom", "auxiliary": None} | spec
    made = TrialSpec(seed=seed, **given)
    names = [made.weighting, made.auxiliary, "+".join(made.losses), made.model, *map(repr, made.model_params.values())]
    scores = {"per_image": {metric: value}}
    return HandRecord(made, " · ".join(str(name) for name in names), scores, scores)


def study_records(name: str, seed: int = 0) -> tuple[list[HandRecord], str]:
    """A finished study, without any training: random scores and courses for every trial that it plans; its baseline."""
    study = load_study(name)
    expansion = expand(study)
    rng = np.random.default_rng(seed)
    return [_random(cell.spec, cell.configuration, rng) for cell in expansion.cells], expansion.baseline


def disc_truth(images: Sequence[str], side: int = 32) -> Truth:
    """A disc in each image, the first the smallest."""
    y, x = np.mgrid[:side, :side] - side / 2
    return Truth(images, np.stack([(y**2 + x**2 < (3 + place) ** 2).astype(np.uint8) for place in range(len(images))]))


def course(losses: np.ndarray, weights: np.ndarray, per_epoch: int, **columns: Any) -> pd.DataFrame:
    """A history (steps, N): losses and weights by step."""
    steps = np.arange(len(losses))
    table = {
        "step": steps,
        "epoch": steps // per_epoch,
        "gamma": 0.0,
        "auxiliary": 0.0,
        "total": (losses * weights).sum(1),
    }
    table |= {f"loss/{place}": values for place, values in enumerate(losses.T)}
    table |= {f"weight/{place}": values for place, values in enumerate(weights.T)}
    return pd.DataFrame(table | columns)


def _random(spec: TrialSpec, configuration: str, rng: np.random.Generator) -> HandRecord:
    classified = spec.selection == "f1"
    names = [*(CLASSIFIED if classified else SEGMENTED)]
    names += [f"{name}@noise={level:g}" for name in names for level in spec.test_noise]
    test, validation = (
        {name: {metric: float(rng.uniform(0.6, 0.9)) for metric in METRICS} for name in names} for _ in range(2)
    )
    if not classified:
        test["per_image"] |= {"hd95": float(rng.uniform(2, 9)), "hausdorff": float(rng.uniform(5, 20))}
    steps, count = 40, len(spec.losses)
    fall = np.exp(-np.arange(steps) / 10)[:, None] * rng.lognormal(0, 0.05, (steps, count)) + 0.1
    history = course(fall, rng.dirichlet(np.ones(count), steps), 4, gamma=5.0 if spec.auxiliary else 0.0, auxiliary=0.1)
    history["total"] += history["gamma"] * history["auxiliary"]
    epochs = pd.DataFrame({"epoch": range(10), "train_total": fall.mean(1)[::4], "seconds": rng.uniform(1, 2, 10)})
    images = pd.DataFrame({"image": [f"{place}.png" for place in range(12)], "dice": rng.uniform(0.5, 1, 12)})
    return HandRecord(spec, configuration, test, validation, history, epochs, images)


def changed(record: HandRecord, **spec: Any) -> HandRecord:
    """The same numbers for another spec."""
    return dataclasses.replace(record, spec=dataclasses.replace(record.spec, **spec))
