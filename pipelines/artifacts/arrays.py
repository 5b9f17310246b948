"""Prepared data on disk: uint8 array files of images, of filtered images and of targets, and the table of cases.

A data set has a folder for each size at which trials read it; none of them resizes what it reads.

<root>/arrays/<dataset>/<size>/   S is size, size; of patches of volumes D, size, size
    images.npy     uint8 (N, C, S)
    filtered.npy   uint8 (N, C, S), after the bilateral filter
    targets.npy    uint8, class index: (N, S) of each pixel (segmentation), (N,) of each image (classification); see
                   `Preparation.ignore_index` for pixels of none
    cases.csv      image, label, group, the ways of splitting (`split_rows`) and what further ones are dealt by: the
                   publisher's split and the checksum of the file; height and width of the image in pixels before it was
                   resized; row i belongs to entry i of the arrays
    meta.json      see `Meta`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.datasets.deals import Deal
from pipelines.datasets.params import FilterParams, SplitParams
from pipelines.datasets.split_methods import METHODS, SPLITS

FILES = ("images.npy", "filtered.npy", "targets.npy")
CASES, META = "cases.csv", "meta.json"
SPLIT_COLUMNS = ("image", "label", "group", "split", *METHODS, "fold", "published", "sha256")
"""Columns that cases.csv takes over from the split table."""

COLUMNS = (*SPLIT_COLUMNS, "height", "width")


class Preparation(BaseModel):
    """What prepared data are and how they were made; every trial keeps that of its own.

    Attributes:
        title, terms, citation: of the data set, carried into the report.
        channels, spatial: of every image; `spatial` is (height, width) or (depth, height, width).
        from_volumes: whether the images are volumes or slices of them.
        ignore_index: target of pixels of which nobody says what they are; None if the masks may have none.
        reduced: how a mirror's copy differs from what was published, if it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    title: str
    task: str
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    channels: int
    spatial: tuple[int, ...]
    from_volumes: bool
    ignore_index: int | None = None
    split: SplitParams
    filter: FilterParams
    reduced: str | None
    terms: str
    citation: str

    @property
    def size(self) -> int:
        """The last side; that of all sides of a square image."""
        return self.spatial[-1]


class Meta(Preparation):
    """What meta.json says about prepared data.

    Attributes:
        sha256: of each array file and of cases.csv, by file name.
        checksum: of those; two prepared data sets with the same checksum train the same.
    """

    sha256: dict[str, str]
    checksum: str

    @property
    def preparation(self) -> Preparation:
        """All but the checksums."""
        return Preparation(**self.model_dump(exclude={"sha256", "checksum"}))


@dataclass(frozen=True)
class PreparedData:
    """A data set that training can read; the arrays are memory maps and cannot be written to."""

    directory: Path
    meta: Meta
    cases: pd.DataFrame
    images: UInt8[np.memmap, "N C *S"]
    filtered: UInt8[np.memmap, "N C *S"]
    targets: UInt8[np.memmap, "N ..."]

    def digest(self, split: str, filtered: bool) -> str:
        """SHA-256 over what a trial is given: images, targets, classes, the rows of each side, the size of pixels."""
        void = [] if self.meta.ignore_index is None else [self.meta.ignore_index]
        digest = hashlib.sha256(json.dumps([self.meta.task, self.meta.classes, *void]).encode())
        for name in ("filtered.npy" if filtered else "images.npy", "targets.npy"):
            digest.update(bytes.fromhex(self.meta.sha256[name]))
        for side, rows in self.rows(split).items():
            digest.update(f"{side} {len(rows)}".encode())
            digest.update(rows.astype("<i8").tobytes())
        if (spacing := pixel_spacing(self.cases, self.meta.spatial)) is not None and self.meta.task == "segmentation":
            digest.update(spacing.astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def checksum(self) -> str:
        """Changes with any byte of the arrays or of the table of cases."""
        return self.meta.checksum

    def verify(self) -> None:
        """Read every byte once. Raises StageError, naming the file, if one is not what the filter stage wrote."""
        for name, expected in self.meta.sha256.items():
            if (found := file_checksum(self.directory / name)) != expected:
                raise _spoilt(self.directory / name, f"SHA-256 {found}", f"{expected}, as {META} beside it says")

    def rows(self, split: str) -> dict[str, Int[np.ndarray, " n"]]:
        """`split_rows` of this data set. Raises StageError, naming the file, for a split that it does not have."""
        try:
            return split_rows(self.cases, split, self.meta.split.fractions)
        except ValueError as error:
            raise StageError(f"{self.directory / CASES}: {error}") from None


def pixel_spacing(cases: pd.DataFrame, spatial: Sequence[int]) -> Float[np.ndarray, "N 2"] | None:
    """Height and width of each image's pixels, in pixels of the original; None of volumes, which are not resized."""
    if len(spatial) != 2:
        return None
    return cases[["height", "width"]].to_numpy(dtype=np.float64) / np.array(spatial)


def split_rows(cases: pd.DataFrame, split: str, fractions: Sequence[float]) -> dict[str, Int[np.ndarray, " n"]]:
    """Row numbers of train, val and test, disjoint.

    Args:
        cases: The table of cases of prepared data.
        split: As in `TrialSpec.split`: "default" (column `split`, the method chosen in params.yaml), the name of a
            method (its column), "fold:<k>": fold k is test, fold k + 1 (after the last, 0) val, the others train; or
            the name of a `Deal`, such as "random:3".
        fractions: Of train, val and test, for a deal that names none.

    Raises:
        ValueError: if the data set has no such split, or it leaves train, val or test without a row; the message
            names those that there are.
    """
    sides = _sides(cases, split, fractions)
    rows = {name: np.flatnonzero(sides == name) for name in SPLITS}
    if empty := [name for name in SPLITS if not len(rows[name])]:
        count = cases["fold"].astype(int).max() + 1
        whole = [name for name in METHODS if set(SPLITS) <= set(cases[name])]
        raise ValueError(
            f"the split {split!r} has no images for {', '.join(empty)}. "
            f"There are: default, {', '.join(whole)}, fold:0 to fold:{count - 1}, and <method>:<seed>. "
            "Choose one in the study, or another `split` in params.yaml."
        )
    return rows


def _sides(cases: pd.DataFrame, split: str, fractions: Sequence[float]) -> np.ndarray:
    kind, _, number = split.partition(":")
    if kind == "fold" and number.isdecimal():
        folds, test = cases["fold"].astype(int), int(number)
        after = (folds - test) % (folds.max() + 1)
        return np.select([folds == test, after == 1], ["test", "val"], "train")
    if deal := Deal.named(split):
        try:
            return np.array(deal.sides(cases, fractions))
        except ValueError as error:
            raise ValueError(
                f"the split {split!r} cannot be dealt: {error}. Choose another one in the study."
            ) from None
    column = "split" if split == "default" else split
    return cases[column].to_numpy() if column in ("split", *METHODS) else np.full(len(cases), "")


def arrays_folder(root: Path, dataset: str, size: int) -> Path:
    """Where the arrays of a data set lie that trials of `image_size` `size` read."""
    return root / "arrays" / dataset / str(size)


def load(root: Path, dataset: str, size: int) -> PreparedData:
    """Open what the filter stage wrote for a data set at a size under `root`/arrays.

    Raises:
        StageError: if something is missing or does not fit together.
    """
    directory = arrays_folder(root, dataset, size)
    for name in (*FILES, CASES, META):
        if not (directory / name).is_file():
            raise StageError(
                f"{directory / name} is missing. Prepare the data set at this size with `dvc repro filter`, or "
                f"`python -m pipelines.filter --dataset {dataset} --size {size}`."
            )
    meta = _read_meta(directory / META)
    cases = pd.read_csv(directory / CASES, dtype=str, keep_default_na=False)
    if tuple(cases.columns) != COLUMNS:
        raise _spoilt(directory / CASES, f"the columns {', '.join(cases.columns)}", ", ".join(COLUMNS))
    images, filtered, targets = (_open(directory / name) for name in FILES)
    shape = (len(cases), meta.channels, *meta.spatial)
    of_targets = shape[:1] if meta.task == "classification" else shape[:1] + shape[2:]
    for name, array, expected in zip(FILES, (images, filtered, targets), (shape, shape, of_targets), strict=True):
        if array.shape != expected or array.dtype != np.uint8:
            raise _spoilt(directory / name, f"{array.dtype} {array.shape}", f"uint8 {expected}")
    return PreparedData(directory, meta, cases, images, filtered, targets)


def _read_meta(path: Path) -> Meta:
    try:
        return Meta.model_validate_json(path.read_text())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "(file)"
        raise _spoilt(path, f"`{key}`: {first['msg']}", "what the filter stage writes") from None


def _open(path: Path) -> np.memmap:
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise _spoilt(path, f"no readable array ({error})", "an array file") from None
    return array


def _spoilt(path: Path, found: str, expected: str) -> StageError:
    return StageError(f"{path}: found {found}, expected {expected}. Prepare it again with `dvc repro --force filter`.")
