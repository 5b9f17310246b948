"""The search for near duplicates: what it finds beside comparing all pairs and beside perceptual hashes, and its cost.

    python -m benchmarks.duplicates [--images 100000] [--data data]

1. On real data sets below --data/raw that were fetched (BUSI, the brain MRI set): recall and false candidates of the
   sketches, of 64-bit perceptual hashes (signs of the lowest 8x8 frequencies) at several Hamming distances, and of the
   16x16 thumbnails that were used before, where the truth is every pair whose 32x32 correlation reaches 0.95.
2. On synthetic thumbnails, one in a hundred a distorted copy: seconds, recall, and memory over the thumbnails' own.

Prints two tables and writes benchmarks/results/duplicates.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.fft import dctn

from pipelines.core.parallel import threaded
from pipelines.datasets import duplicates
from pipelines.datasets.cases import case_image, read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.duplicates import CROPS, near_duplicates, patterns_of, sketches_of, thumbnail

RESULTS = Path(__file__).parent / "results" / "duplicates.json"
SIMILARITY = 0.95
DISTANCES = (6, 10, 14, 18)


def recalls(name: str, root: Path) -> list[dict[str, float | str]]:
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
            "recall": float(chosen[truth].mean()),
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


class PeakMemory:
    """Largest resident size of this process while it is entered, above what it was at the start, in MB."""

    def __enter__(self) -> PeakMemory:
        self.start = self.peak = _resident()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.done.wait(0.05):
            self.peak = max(self.peak, _resident())

    @property
    def megabytes(self) -> float:
        return (self.peak - self.start) / 1e6


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cost(count: int) -> dict[str, float]:
    """One search among `count` synthetic thumbnails."""
    thumbnails = synthetic(count)
    with PeakMemory() as memory:
        start, processor = time.perf_counter(), time.process_time()
        found = near_duplicates(thumbnails, SIMILARITY)
        seconds, spent = time.perf_counter() - start, time.process_time() - processor
    planted = {(index, count - count // 100 + index) for index in range(count // 100)}
    pairs = {(pair.first, pair.second) for pair in found}
    return {
        "images": count,
        "seconds": seconds,
        "processor_seconds": spent,
        "multiplications": len(CROPS) * count**2 * duplicates.LOW**2,
        "megabytes": memory.megabytes,
        "thumbnails_megabytes": thumbnails.nbytes / 1e6,
        "planted": len(planted),
        "recall": len(planted & pairs) / max(1, len(planted)),
        "false_pairs": len(pairs - planted),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000], help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=Path("data"), help="default: %(default)s")
    options = parser.parse_args()
    fetched = [name for name in ("busi", "brain_tumor_mri") if (options.data / "raw" / name).is_dir()]
    ways = [row for name in fetched for row in recalls(name, options.data)]
    print(f"{'data set':<16} {'candidates by':<40} {'true pairs':>10} {'recall':>7} {'false':>8} {'of pairs':>9}")
    for row in ways:
        print(
            f"{row['dataset']:<16} {row['way']:<40} {row['true_pairs']:>10} {float(row['recall']):7.3f} "
            f"{row['false_candidates']:>8} {float(row['share_of_pairs']):9.4%}"
        )
    print(f"\n{'images':>8} {'seconds':>8} {'CPU s':>8} {'memory MB':>10} {'thumbs MB':>10} {'recall':>7} {'false':>6}")
    costs = []
    for count in options.images:
        costs.append(one := cost(count))
        print(
            "{images:8.0f} {seconds:8.1f} {processor_seconds:8.1f} {megabytes:10.0f} {thumbnails_megabytes:10.0f} "
            "{recall:7.3f} {false_pairs:6.0f}".format(**one)
        )
    record = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "candidates": ways, "cost": costs}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
