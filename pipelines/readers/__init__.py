"""Readers: from the publisher's folders to a list of cases, and from cases to arrays.

A reader is an entry of `READERS` (`pipelines/readers/registry.py`): a function `(folder, labels) -> cases`, and how
the publisher's masks are encoded.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console import StageError
from pipelines.readers.cases import Case, join_paths, split_paths
from pipelines.readers.images import load_image
from pipelines.readers.load import case_image, case_mask, case_parts, check_case, check_sizes
from pipelines.readers.masks import load_mask
from pipelines.readers.parts import Patches, Slices, VolumeCut
from pipelines.readers.registry import READERS, Reader

if TYPE_CHECKING:  # the catalogue asks here which readers there are
    from pipelines.catalogue import DatasetEntry


def find_cases(entry: DatasetEntry, root: Path) -> list[Case]:
    """As `read_cases`, but whether the files can be used is not looked at."""
    remedy = f"Fetch it with `python -m pipelines.fetch --dataset {entry.name}`."
    if not root.is_dir():
        raise StageError(f"{root}: no such folder. {remedy}")
    cases = [case for case in READERS[entry.reader].find(root, entry.labels) if case.label in entry.labels]
    if not cases:
        raise StageError(
            f"{root}: no image of {entry.name} in it with the labels {', '.join(entry.labels)}. "
            f"Remove the folder. {remedy}"
        )
    if entry.patient:
        cases = [replace(case, patient=_patient(entry.patient, root, case)) for case in cases]
    return cases


def read_cases(entry: DatasetEntry, root: Path) -> list[Case]:
    """The cases of a data set, sorted by name, with the labels that its entry uses.

    Volumes are cut up as the entry's `volume` says: a case is a slice or a patch.

    Args:
        entry: The data set's entry in the catalogue.
        root: Where it was fetched to, `data/raw/<name>`; the paths of the cases are relative to it.

    Raises:
        StageError: if the folder is missing or empty, an image has no mask or cannot be opened, or sizes differ.
    """
    cases = find_cases(entry, root)
    check_sizes(entry, root, cases)
    return sorted(case_parts(entry, root, cases), key=lambda case: case.name)


def _patient(pattern: str, root: Path, case: Case) -> str:
    found = re.search(pattern, case.image.name)
    if not found or not found[1]:
        raise StageError(
            f"{root / case.image}: `patient: {pattern}` of the catalogue does not say who was imaged. Rename the file "
            "or correct the expression."
        )
    return found[1]


__all__ = [
    "READERS",
    "Case",
    "Patches",
    "Reader",
    "Slices",
    "VolumeCut",
    "case_image",
    "case_mask",
    "case_parts",
    "check_case",
    "find_cases",
    "join_paths",
    "load_image",
    "load_mask",
    "read_cases",
    "split_paths",
]
