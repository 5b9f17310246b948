"""Prepared data on disk: one uint8 array file of images, one of filtered images, one of masks, and the table of cases.

<root>/arrays/<dataset>/
    images.npy     uint8 (N, C, H, W)
    filtered.npy   uint8 (N, C, H, W), after the bilateral filter
    targets.npy    uint8 (N, H, W), class index
    cases.csv      image, label, group, split; row i belongs to entry i of the arrays
    meta.json      see `Meta`
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.console import StageError
from pipelines.params import FilterParams, SplitParams

FILES = ("images.npy", "filtered.npy", "targets.npy")
CASES, META = "cases.csv", "meta.json"
COLUMNS = ("image", "label", "group", "split")


class Meta(BaseModel):
    """What meta.json says about prepared data.

    Attributes:
        size, channels: of every image.
        sha256: of each array file and of cases.csv, by file name.
        checksum: of those; two prepared data sets with the same checksum train the same.
        reduced: how a mirror's copy differs from what was published, if it does.
        terms, citation: of the data set, carried into the report.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    task: str
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    size: int
    channels: int
    split: SplitParams
    filter: FilterParams
    sha256: dict[str, str]
    checksum: str
    reduced: str | None
    terms: str
    citation: str


@dataclass(frozen=True)
class PreparedData:
    """A data set that training can read; the arrays are memory maps and cannot be written to."""

    directory: Path
    meta: Meta
    cases: pd.DataFrame
    images: UInt8[np.memmap, "N C H W"]
    filtered: UInt8[np.memmap, "N C H W"]
    targets: UInt8[np.memmap, "N H W"]

    @property
    def checksum(self) -> str:
        """Changes with any byte of the arrays or of the table of cases."""
        return self.meta.checksum


def load(root: Path, dataset: str) -> PreparedData:
    """Open what the filter stage wrote for a data set under `root`/arrays.

    Raises:
        StageError: if something is missing or does not fit together.
    """
    directory = root / "arrays" / dataset
    for name in (*FILES, CASES, META):
        if not (directory / name).is_file():
            raise StageError(f"{directory / name} is missing. Prepare the data set with `dvc repro filter`.")
    meta = _read_meta(directory / META)
    cases = pd.read_csv(directory / CASES, dtype=str, keep_default_na=False)
    if tuple(cases.columns) != COLUMNS:
        raise _spoilt(directory / CASES, f"the columns {', '.join(cases.columns)}", ", ".join(COLUMNS))
    images, filtered, targets = (_open(directory / name) for name in FILES)
    shape = (len(cases), meta.channels, meta.size, meta.size)
    for name, array, expected in zip(
        FILES, (images, filtered, targets), (shape, shape, shape[:1] + shape[2:]), strict=True
    ):
        if array.shape != expected or array.dtype != np.uint8:
            raise _spoilt(directory / name, f"{array.dtype} {array.shape}", f"uint8 {expected}")
    return PreparedData(directory, meta, cases, images, filtered, targets)


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joint_checksum(sha256: Mapping[str, str]) -> str:
    """One checksum for several files, whatever the order in which they are listed."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(sha256.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


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
