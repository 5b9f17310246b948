"""Parameters, and results of earlier stages that are missing or do not fit."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipelines.artifacts.audit import record_path, write_duplicates
from pipelines.audit.audit import audit_dataset
from pipelines.datasets.catalogue import find_entries
from pipelines.datasets.params import SplitParams
from tests.support.bad_input.images import IMAGE, MASK
from tests.support.bad_input.kinds import add, bad
from tests.support.bad_input.place import FIRST, Place

PARAMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a misspelt key": ("split", {"split": {"sed": 1}}, "unknown key `split.sed`. Did you mean `seed`?"),
    "a method that nobody knows": ("split", {"split": {"method": "grouping"}}, "Did you mean `grouped`?"),
    "shares that are no whole": ("split", {"split": {"fractions": [0.7, 0.2, 0.2]}}, "must sum to 1, these sum to 1.1"),
    "two shares": ("split", {"split": {"fractions": [0.7, 0.3]}}, "key `split.fractions"),
    "a share of nothing": ("split", {"split": {"fractions": [0.8, 0.2, 0.0]}}, "Input should be greater than 0"),
    "two folds": ("split", {"split": {"folds": 2}}, "key `split.folds`: Input should be greater than or equal to 3"),
    "a seed in words": ("split", {"split": {"seed": "one"}}, "key `split.seed`: Input should be a valid integer"),
    "a similarity that nothing has": ("audit", {"split": {"similarity": 2.0}}, "key `split.similarity`"),
    "a neighbourhood without a middle": ("filter", {"filter": {"diameter": 8}}, "must be odd, so that"),
    "a negative width": ("filter", {"filter": {"sigma_space": -1.0}}, "key `filter.sigma_space`: Input should be"),
}  # fmt: skip


def _set(params: dict[str, Any], place: Place) -> None:
    place.set(**params)


for name, (stage, params, message) in PARAMS.items():
    add(f"params with {name}", f"{stage} scans", ("params.yaml: ", message), partial(_set, params))


@bad("split scans", "params.yaml: no such file")
def params_that_are_not_there(place: Place) -> None:
    (place.folder / "params.yaml").unlink()


@bad("split scans", "params.yaml: key `study` is missing")
def params_without_a_study(place: Place) -> None:
    (place.folder / "params.yaml").write_text("{}")


@bad("split scans", "data/audit/scans", "dvc repro audit")
def data_set_that_was_not_audited(place: Place) -> None:
    for path in (place.data / "audit").rglob("*"):
        if path.is_file():
            path.unlink()


@bad("split scans", "data/audit/scans", "dvc repro audit")
def image_that_came_after_the_audit(place: Place) -> None:
    for kind in ("images", "masks"):
        path = place.raw / kind / FIRST
        path.with_name("new.png").write_bytes(path.read_bytes())


@bad("split scans", "scans: ", "too few")
def images_too_few_to_be_split(place: Place) -> None:
    for kind in ("images", "masks"):
        for path in (place.raw / kind).rglob("*.png"):
            if path.stem not in ("b00", "m00"):
                path.unlink()
    (entry,) = find_entries(["scans"], place.data)
    audited = audit_dataset(entry, place.data, SplitParams().similarity)
    write_duplicates(record_path(place.data, "scans"), audited.duplicates)


@bad("split scans", "scans: its publisher names no test set", "Choose another `split.method` in params.yaml")
def split_that_the_publisher_has_not_made(place: Place) -> None:
    place.set(split={"method": "official"})


@bad("filter scans", "data/splits/scans.csv", "column `random` must be one of train, val, test", "Found 'holdout'")
def other_splits_of_a_method_that_is_not_the_chosen_one(place: Place) -> None:
    path = place.data / "splits/scans.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[3, "random"] = "holdout"
    table.to_csv(path, index=False)


@bad("filter scans", "scans was fetched with another `task` than the catalogue", "python -m pipelines.fetch --dataset")
def entry_that_changed_after_the_fetch(place: Place) -> None:
    place.describe(scans={"task": "classification"})


@bad("filter scans", "data/splits/scans.csv is missing. Make it with `dvc repro split`")
def data_set_that_was_not_split(place: Place) -> None:
    (place.data / "splits/scans.csv").unlink()


@bad("filter scans", "data/splits/scans.csv", "not a table", "dvc repro split")
def table_of_no_bytes(place: Place) -> None:
    (place.data / "splits/scans.csv").write_text("")


@bad("filter scans", "data/splits/scans.csv", "Found image, label", "dvc repro split")
def table_with_other_columns(place: Place) -> None:
    (place.data / "splits/scans.csv").write_text("image,label\na,b\n")


@bad("filter scans", "data/splits/scans.csv", "Found 'dev'", "dvc repro split")
def table_with_a_split_that_nobody_knows(place: Place) -> None:
    path = place.data / "splits/scans.csv"
    path.write_text(path.read_text().replace(",test,", ",dev,"))


@bad("filter scans", IMAGE, "has changed since the split was made. Make it again with `dvc repro audit split`")
def image_that_changed_after_the_split(place: Place) -> None:
    Image.fromarray(np.zeros((20, 24), np.uint8)).save(place.raw / "images" / FIRST)


@bad("filter scans", IMAGE, "missing, but the split lists it")
def image_that_was_lost_after_the_split(place: Place) -> None:
    (place.raw / "images" / FIRST).unlink()


@bad("filter scans", MASK, "no such file")
def mask_that_was_lost_after_the_split(place: Place) -> None:
    (place.raw / "masks" / FIRST).unlink()


@bad("filter scans", MASK, "expected 20 x 24 pixels (height x width)", "Found 9 x 7. Replace the mask")
def mask_of_another_size_after_the_split(place: Place) -> None:
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(place.raw / "masks" / FIRST)


@bad(
    "filter scans",
    "data/raw/scans/manifest.json: no such file; scans was not fetched",
    "pipelines.fetch --dataset scans",
)
def data_set_whose_record_is_lost(place: Place) -> None:
    (place.raw / "manifest.json").unlink()
