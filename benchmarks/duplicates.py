"""The search for near duplicates: what it finds beside comparing all pairs and beside perceptual hashes, and its cost.

    python -m benchmarks.duplicates

1. On real data sets below --data/raw that were fetched (BUSI, the brain MRI set): recall and false candidates of the
   sketches, of 64-bit perceptual hashes (signs of the lowest 8x8 frequencies) at several Hamming distances, and of the
   16x16 thumbnails that were used before, where the truth is every pair whose 32x32 correlation reaches 0.95.
2. On synthetic thumbnails, one in a hundred a distorted copy: seconds, recall, and memory over the thumbnails' own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.fft import dctn

from benchmarks.harness.machine import peak_memory
from benchmarks.harness.measure import Stopwatch
from benchmarks.harness.script import Results, benchmark, option
from pipelines.core.parallel import threaded
from pipelines.datasets import duplicates
from pipelines.datasets.cases import case_image, read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.duplicates import CROPS, near_duplicates, patterns_of, sketches_of, thumbnail

SIMILARITY = 0.95
DISTANCES = (6, 10, 14, 18)


@dataclass(frozen=True)
class Setting:
    images: tuple[int, ...] = option((10_000, 100_000), "synthetic thumbnails")
    datasets: tuple[str, ...] = option(("busi", "brain_tumor_mri"), "real ones; read if fetched")
    data: Path = option(Path("data"), "folder with the fetched data")


def recalls(name: str, root: Path) -> list[dict[str, Any]]:
    """How much of the truth each way of finding candidates keeps, and how many pairs it would have checked."""
    entry, raw = load_catalogue()[name], root / "raw" / name
    cases = read_cases(entry, raw)
    thumbnails = np.stack(
        threaded(lambda case: thumbnail(case_image(entry, raw, case)), cases, "reading", unit="images")
    )
    patterns = patterns_of(thumbnails, CROPS[0])
    upper = np.triu_indices(len(patterns), 1)
    truth = (patterns @ patterns.T)[upper] >= SIMILARITY
    sketches = sketches_of(patterns)
    signs = np.where(dctn(patterns.reshape(-1, 32, 32), axes=(1, 2))[:, :8, :8].reshape(-1, 64)[:, 1:] > 0, 1.0, -1.0)
    hamming = ((63 - signs @ signs.T) / 2)[upper]
    small = np.stack([cv2.resize(one, (16, 16), interpolation=cv2.INTER_AREA).ravel() for one in thumbnails])
    ways = {
        f"sketches, bound >= {SIMILARITY}": (sketches @ sketches.T)[upper] >= SIMILARITY - duplicates.ROUNDING,
        "16x16 thumbnails, correlation >= 0.85": np.corrcoef(small)[upper] >= 0.85,
        **{f"perceptual hash, distance <= {distance}": hamming <= distance for distance in DISTANCES},
    }
    return [
        {
            "dataset": name,
            "way": way,
            "true_pairs": int(truth.sum()),
            "recall": float(chosen[truth].mean()) if truth.any() else None,
            "false_candidates": int((chosen & ~truth).sum()),
            "share_of_pairs": float(chosen.mean()),
        }
        for way, chosen in ways.items()
    ]


def synthetic(count: int) -> np.ndarray:
    """Thumbnails of smooth random pictures with speckle; the last hundredth are brighter, noisier copies."""
    random = np.random.default_rng(0)
    thumbnails = np.empty((count, duplicates.SIDE, duplicates.SIDE), np.uint8)
    copies = count // 100
    for index in range(count - copies):
        smooth = cv2.resize(random.uniform(40, 200, (8, 6)), (96, 96), interpolation=cv2.INTER_CUBIC)
        thumbnails[index] = np.clip(smooth + random.normal(0, 12, (96, 96)), 0, 255)
    for index in range(copies):
        noisy = 0.8 * thumbnails[index] + 30 + random.normal(0, 8, (96, 96))
        thumbnails[count - copies + index] = np.clip(noisy, 0, 255)
    return thumbnails


def cost(count: int) -> dict[str, float]:
    """One search among `count` synthetic thumbnails."""
    thumbnails = synthetic(count)
    peak_memory(reset=True)
    before = peak_memory()
    with Stopwatch() as watch, Stopwatch(time.process_time) as processor:
        found = near_duplicates(thumbnails, SIMILARITY)
    planted = {(index, count - count // 100 + index) for index in range(count // 100)}
    pairs = {(pair.first, pair.second) for pair in found}
    return {
        "images": count,
        "seconds": watch.seconds,
        "processor_seconds": processor.seconds,
        "multiplications": len(CROPS) * count**2 * duplicates.LOW**2,
        "megabytes": (peak_memory() - before) * 2**20 / 1e6,
        "thumbnails_megabytes": thumbnails.nbytes / 1e6,
        "planted": len(planted),
        "recall": len(planted & pairs) / max(1, len(planted)),
        "false_pairs": len(pairs - planted),
    }


def measure(setting: Setting) -> Results:
    fetched = [name for name in setting.datasets if (setting.data / "raw" / name).is_dir()]
    candidates = [row for name in fetched for row in recalls(name, setting.data)]
    return {"candidates": candidates, "cost": [cost(count) for count in setting.images]}


main = benchmark("duplicates", __doc__, Setting, measure)

if __name__ == "__main__":
    main()
