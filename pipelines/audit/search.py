"""Looking at every image of a data set once, for duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.arrays import file_checksum
from pipelines.audit.record import Duplicates
from pipelines.catalogue import DatasetEntry
from pipelines.duplicates import near_duplicates, thumbnail
from pipelines.parallel import threaded
from pipelines.pictures import as_picture
from pipelines.readers import Case, case_image, read_cases


def find_duplicates(entry: DatasetEntry, root: Path, similarity: float) -> Duplicates:
    """Hash and compare the images of a data set below `root`/raw, whatever the order in which they are read.

    Raises:
        StageError: if there is no case or an image cannot be read.
    """
    raw = root / "raw" / entry.name
    cases = read_cases(entry, raw)

    def look_at(case: Case) -> tuple[str, np.ndarray]:
        return file_checksum(raw / case.image), thumbnail(as_picture(case_image(entry, raw, case)))

    seen = threaded(look_at, cases, f"{entry.name}: reading", unit="images")
    pairs = near_duplicates(np.stack([small for _, small in seen]), similarity)
    names = [case.name for case in cases]
    return Duplicates(
        similarity=similarity,
        sha256=dict(zip(names, (digest for digest, _ in seen), strict=True)),
        pairs=[(names[pair.first], names[pair.second], round(pair.similarity, 6)) for pair in pairs],
    )
