"""Readers: from the publisher's folders to a list of cases, and from files to arrays.

A reader is a function `(folder, labels) -> cases`, filed under its name in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console import StageError
from pipelines.readers.beside import read_busi, read_phantom
from pipelines.readers.cases import Case
from pipelines.readers.images import check_sizes, load_image, load_mask

if TYPE_CHECKING:  # the catalogue asks here which readers there are
    from pipelines.catalogue import DatasetEntry

Reader = Callable[[Path, Sequence[str]], list[Case]]

READERS: Mapping[str, Reader] = {"busi": read_busi, "phantom": read_phantom}


def read_cases(entry: DatasetEntry, root: Path) -> list[Case]:
    """The cases of a data set, sorted by image path, with the labels that its entry uses.

    Args:
        entry: The data set's entry in the catalogue.
        root: Where it was fetched to, `data/raw/<name>`; the paths of the cases are relative to it.

    Raises:
        StageError: if the folder is missing or empty, an image has no mask or cannot be opened, or sizes differ.
    """
    remedy = f"Fetch it with `python -m pipelines.fetch --dataset {entry.name}`."
    if not root.is_dir():
        raise StageError(f"{root}: no such folder. {remedy}")
    cases = sorted(READERS[entry.reader](root, entry.labels), key=lambda case: case.image)
    if not cases:
        raise StageError(f"{root}: no image of {entry.name} in it. Remove the folder. {remedy}")
    for case in cases:
        check_sizes(root, case)
    return cases


__all__ = ["READERS", "Case", "Reader", "load_image", "load_mask", "read_cases"]
