"""What leakage is worth: one configuration on a split by single images and on a split by groups of near duplicates.

    python -m pipelines.grid --study leakage_small
    python -m benchmarks.leakage --study leakage_small

Writes benchmarks/results/<study>.json. A test image is leaked when an image of its group (the same
picture, see pipelines/datasets/duplicates.py, or the same patient) is in train. Test sets differ between the splits,
so the leaked and the other test images of the random split stand beside the whole; and pictures that exist several
times may be easier or harder than others, so the same is asked of the grouped split, where their relatives are never
in train.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.harness.script import Results, benchmark, option
from pipelines.artifacts import arrays
from pipelines.core.console import run_stage
from pipelines.trials.finished import read_trials
from pipelines.trials.plan import plan
from pipelines.trials.record import TrialRecord
from tune_spaces import load_study
from tune_spaces.study import FOLDER


@dataclass(frozen=True)
class Setting:
    study: str = option("leakage_small", "whose trials are done")
    studies: Path = option(FOLDER, "folder of studies")
    data: Path = option(Path("data"), "folder with prepared data")
    trials: Path = option(Path("trials"), "folder of finished trials")


def per_image(record: TrialRecord, cases: pd.DataFrame, train: Iterable[int]) -> pd.DataFrame:
    """Dice of each test image of a trial, whether it is leaked, and whether its group holds other images at all."""
    trained = set(cases["group"].iloc[[*train]])
    group = cases.set_index("image")["group"]
    images = record.images[["image", "dice"]].copy()
    images["leaked"] = images["image"].map(group).isin(trained)
    images["repeated"] = images["image"].map(group.map(group.value_counts()) > 1)
    return images.assign(split=record.spec.split, seed=record.spec.seed)


def compare(images: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean Dice over images, then mean and sample standard deviation over seeds, of all test images and of parts."""
    rows: list[dict[str, Any]] = []
    for split, of_split in images.groupby("split", sort=False):
        for part, chosen in (
            ("all", of_split),
            ("with a relative in train", of_split[of_split["leaked"]]),
            ("without one", of_split[~of_split["leaked"]]),
            ("of a repeated picture", of_split[of_split["repeated"]]),
            ("of a single picture", of_split[~of_split["repeated"]]),
        ):
            means = chosen.groupby("seed")["dice"].mean()
            if len(means):
                count = chosen["image"].nunique()
                row = {"split": str(split), "test_images": part, "count": count, "seeds": len(means)}
                rows.append({**row, "dice": float(means.mean()), "std": float(means.std())})
    return rows


def protocols(records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Mean test Dice over seeds by split and protocol."""
    scores = [
        {"split": record.spec.split, "protocol": protocol, "dice": values["dice"]}
        for record in records
        for protocol, values in record.test.items()
        if "dice" in values
    ]
    means = pd.DataFrame(scores).groupby(["split", "protocol"], sort=False)["dice"].agg(["mean", "std"]).reset_index()
    return [{str(key): value for key, value in row.items()} for row in means.to_dict("records")]


def measure(setting: Setting) -> Results:
    study = load_study(setting.study, setting.studies)
    records = read_trials(plan(study, setting.data, setting.trials))
    prepared = {name: arrays.load(setting.data, name, study.image_sizes(name)[0]) for name in study.datasets}

    def judged(record: TrialRecord) -> pd.DataFrame:
        data = prepared[record.spec.dataset]
        return per_image(record, data.cases, data.rows(record.spec.split)["train"])

    images = pd.concat([judged(record) for record in records])
    return {"study": study.name, "per_image": compare(images), "protocols": protocols(records)}


main = benchmark("leakage", __doc__, Setting, measure, file="{study}")

if __name__ == "__main__":
    run_stage(main)
