"""Looking at every image of a data set once, for duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.arrays import file_checksum
from pipelines.audit.record import Duplicates
from pipelines.catalogue import DatasetEntry
from pipelines.duplicates import near_duplicates, thumbnail
from pipelines.parallel import threaded
from pipelines.readers import load_image, read_cases


def find_duplicates(entry: DatasetEntry, root: Path, similarity: float) -> Duplicates:
    """Hash and compare the images of a data set below `root`/raw, whatever the order in which they are read.

    Raises:
        StageError: if there is no case or an image cannot be read.
    """
    raw = root / "raw" / entry.name
    cases = sorted(read_cases(entry, raw), key=lambda case: case.image.as_posix())

    def look_at(path: Path) -> tuple[str, np.ndarray]:
        return file_checksum(path), thumbnail(load_image(path))

    seen = threaded(look_at, [raw / case.image for case in cases], f"{entry.name}: reading", unit="images")
    pairs = near_duplicates(np.stack([small for _, small in seen]), similarity)
    names = [case.image.as_posix() for case in cases]
    return Duplicates(
        similarity=similarity,
        sha256=dict(zip(names, (digest for digest, _ in seen), strict=True)),
        pairs=[(names[pair.first], names[pair.second], round(pair.similarity, 6)) for pair in pairs],
    )
