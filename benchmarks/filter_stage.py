"""The filter stage on many files, for `benchmarks.filtering`: a process of its own, which imports no rival.

python -m benchmarks.filter_stage IMAGES FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipelines.artifacts.manifest import Manifest
from pipelines.artifacts.split_table import COLUMNS, table_path, write_table
from pipelines.core.checksums import file_checksum
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.params import Params
from pipelines.filter.prepare import prepare

DIFFERENT = 50
"""So many pictures there are, under as many names as asked for."""


def speckle(size: int) -> np.ndarray:
    """A step with Rayleigh speckle on it."""
    step = np.where(np.arange(size) < size // 2, 40.0, 120.0)
    return np.clip(step * np.random.default_rng(0).rayleigh(1.0, (size, size)), 0, 255).astype(np.uint8)


def make(count: int, root: Path) -> None:
    """`count` pictures of 192 pixels with their masks, fetched and split."""
    raw, random, checksums = root / "raw" / "phantom", np.random.default_rng(0), []
    raw.mkdir(parents=True)
    for number in range(DIFFERENT):
        picture = np.clip(speckle(192) + random.normal(0, 5, (192, 192)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(raw / f"original{number}.png"), picture)
        cv2.imwrite(str(raw / f"mask{number}.png"), np.where(picture > 100, 255, 0).astype(np.uint8))
        checksums.append(file_checksum(raw / f"original{number}.png"))
    rows = []
    for number in range(count):
        which, name = number % DIFFERENT, f"{number:06d}.png"
        os.link(raw / f"original{which}.png", raw / name)
        rows.append((name, f"mask{which}.png", "benign", str(number), checksums[which]))
    table = pd.DataFrame(rows, columns=["image", "masks", "label", "group", "sha256"])
    write_table(table_path(root, "phantom"), table.reindex(columns=[*COLUMNS], fill_value=""))
    manifest = Manifest(
        dataset="phantom", provenance="generated", reduced=None, sources=(), fingerprint="", files=count, bytes=0,
        terms="-", citation="-",
    )  # fmt: skip
    (raw / "manifest.json").write_text(manifest.model_dump_json())


def main(count: int, root: Path) -> None:
    if not (root / "raw").is_dir():
        make(count, root)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.filter_stage", str(count), str(root)])
    before, start = peak(), time.perf_counter()
    prepare(load_catalogue()["phantom"], root, Params(study="none"))
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (root / "arrays" / "phantom").glob("*.npy")) / 2**20
    outcome = {"before_mib": before, "peak_mib": peak(), "arrays_mib": size, "images_per_second": count / seconds}
    print(json.dumps(outcome))


def peak() -> float:
    """Most memory that this process ever held, in MiB, as Linux counts it; getrusage would count its parent's too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
