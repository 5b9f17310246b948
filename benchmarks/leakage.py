"""What leakage is worth: one configuration on a split by single images and on a split by groups of near duplicates.

    python -m pipelines.grid --study leakage_small
    python -m benchmarks.leakage --study leakage_small

Prints a table and writes benchmarks/results/<study>.json. A test image is leaked when an image of its group (the same
picture, see pipelines/datasets/duplicates.py, or the same patient) is in train. Test sets differ between the splits,
so the leaked and the other test images of the random split stand beside the whole; and pictures that exist several
times may be easier or harder than others, so the same is asked of the grouped split, where their relatives are never
in train.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.artifacts import arrays
from pipelines.artifacts.arrays import split_rows
from pipelines.core.console import run_stage
from pipelines.trials.finished import TrialRecord, read_trials
from pipelines.trials.plan import plan
from tune_spaces import load_study

RESULTS = Path(__file__).parent / "results"


def per_image(record: TrialRecord, cases: pd.DataFrame) -> pd.DataFrame:
    """Dice of each test image of a trial, whether it is leaked, and whether its group holds other images at all."""
    train = set(cases["group"].iloc[split_rows(cases, record.spec.split)["train"]])
    group = cases.set_index("image")["group"]
    images = record.images[["image", "dice"]].copy()
    images["leaked"] = images["image"].map(group).isin(train)
    images["repeated"] = images["image"].map(group.map(group.value_counts()) > 1)
    return images.assign(split=record.spec.split, seed=record.spec.seed)


def compare(images: pd.DataFrame) -> list[dict[str, float | int | str]]:
    """Mean Dice over images, then mean and sample standard deviation over seeds, of all test images and of parts."""
    rows: list[dict[str, float | int | str]] = []
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


def protocols(records: Sequence[TrialRecord]) -> list[dict[str, float | str]]:
    """Mean test Dice over seeds by split and protocol."""
    scores = [
        {"split": record.spec.split, "protocol": protocol, "dice": values["dice"]}
        for record in records
        for protocol, values in record.test.items()
        if "dice" in values
    ]
    means = pd.DataFrame(scores).groupby(["split", "protocol"], sort=False)["dice"].agg(["mean", "std"]).reset_index()
    return [{str(key): value for key, value in row.items()} for row in means.to_dict("records")]


def main() -> None:
    """Read the study's trials and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leakage", description=__doc__.split("\n")[0])
    parser.add_argument("--study", default="leakage_small", help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=Path("data"), help="default: %(default)s")
    parser.add_argument("--trials", type=Path, default=Path("trials"), help="default: %(default)s")
    options = parser.parse_args()
    study = load_study(options.study)
    records = read_trials(plan(study, options.data, options.trials))
    cases = {name: arrays.load(options.data, name).cases for name in study.datasets}
    images = pd.concat([per_image(record, cases[record.spec.dataset]) for record in records])
    rows, by_protocol = compare(images), protocols(records)
    print(f"{'split':<10} {'test images':<26} {'images':>6} {'Dice, %':>8} {'± std over seeds':>17}")
    for row in rows:
        print(
            f"{row['split']:<10} {row['test_images']:<26} {row['count']:>6} "
            f"{100 * float(row['dice']):8.2f} {100 * float(row['std']):17.2f}"
        )
    print(f"\n{'split':<10} {'protocol':<26} {'Dice, %':>15} {'± std over seeds':>17}")
    for line in by_protocol:
        mean, std = (100 * float(line[key]) for key in ("mean", "std"))
        print(f"{line['split']:<10} {line['protocol']:<26} {mean:15.2f} {std:17.2f}")
    RESULTS.mkdir(exist_ok=True)
    record = {"study": study.name, "per_image": rows, "protocols": by_protocol}
    text = json.dumps(record, indent=2, default=lambda value: value.item() if isinstance(value, np.generic) else value)
    (RESULTS / f"{study.name}.json").write_text(text + "\n")


if __name__ == "__main__":
    run_stage(main)
