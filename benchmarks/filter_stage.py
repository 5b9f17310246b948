"""The filter stage on many files, for `benchmarks.filtering`: a process of its own, which imports no rival.

python -m benchmarks.filter_stage IMAGES FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from benchmarks.harness.machine import peak_memory
from benchmarks.harness.measure import Stopwatch
from benchmarks.harness.prepared import phantom
from pipelines.artifacts.audit import Duplicates, record_path, write_duplicates
from pipelines.artifacts.split_table import table_path, write_table
from pipelines.core.checksums import file_checksum
from pipelines.datasets.cases import read_cases
from pipelines.datasets.params import Params
from pipelines.fetch.obtain import fetch
from pipelines.filter.prepare import prepare
from pipelines.split.deal import split_dataset

SIDE = 128
"""Pixels of the arrays."""

DIFFERENT = 50
"""So many pictures there are, under as many names as asked for."""
FETCHED = 16
"""Pictures of the phantom itself among them."""


def speckle(size: int) -> np.ndarray:
    """A step with Rayleigh speckle on it."""
    step = np.where(np.arange(size) < size // 2, 40.0, 120.0)
    return np.clip(step * np.random.default_rng(0).rayleigh(1.0, (size, size)), 0, 255).astype(np.uint8)


def make(count: int, root: Path) -> None:
    """`count` pictures, all but a few of 192 pixels, with their masks: fetched, taken for audited, and split."""
    entry, params, random = phantom(FETCHED), Params(study="none").split, np.random.default_rng(0)
    fetch(entry, root)
    folder = root / "raw" / entry.name / "benign"
    for number in range(min(DIFFERENT, count - FETCHED)):
        picture = np.clip(speckle(192) + random.normal(0, 5, (192, 192)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        cv2.imwrite(str(folder / f"{number}_mask.png"), np.where(picture > 100, 255, 0).astype(np.uint8))
    for number in range(DIFFERENT, count - FETCHED):
        for suffix in ("", "_mask"):
            os.link(folder / f"{number % DIFFERENT}{suffix}.png", folder / f"{number}{suffix}.png")
    raw = root / "raw" / entry.name
    sha256 = {case.name: file_checksum(raw / case.name) for case in read_cases(entry, raw)}
    duplicates = Duplicates(similarity=params.similarity, sha256=sha256, pairs=())
    write_duplicates(record_path(root, entry.name), duplicates)
    write_table(table_path(root, entry.name), split_dataset(entry, root, params).table)


def main(count: int, root: Path) -> None:
    if not (root / "raw").is_dir():
        make(count, root)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.filter_stage", str(count), str(root)])
    before = peak_memory()
    with Stopwatch() as watch:
        prepare(phantom(FETCHED), root, SIDE, Params(study="none"))
    outcome = {
        "before_mib": before,
        "peak_mib": peak_memory(),
        "arrays_mib": sum(path.stat().st_size for path in (root / "arrays").rglob("*.npy")) / 2**20,
        "images_per_second": count / watch.seconds,
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
