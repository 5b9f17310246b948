"""Masks beside the images, `x.png`, `x_mask.png`, `x_mask_1.png`, in one folder per label."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in, without_image, without_mask

MASK = re.compile(r"(?P<image>.+)_mask(_\d+)?")


def read_busi(root: Path, labels: Sequence[str]) -> list[Case]:
    """BUSI: `Dataset_BUSI_with_GT/benign/benign (1).png`; whose image it is was not published."""
    return read_beside(root, Path("Dataset_BUSI_with_GT"), labels)


def read_phantom(root: Path, labels: Sequence[str]) -> list[Case]:
    """The simulated data: `benign/p0012_v1.png`, patient 12, first view."""
    return read_beside(root, Path(), labels, patient=lambda stem: stem.split("_")[0])


def read_beside(
    root: Path, folder: Path, labels: Sequence[str], patient: Callable[[str], str] | None = None
) -> list[Case]:
    """Cases of `root / folder / <label>`; `patient` tells from a file's stem who was imaged.

    Raises:
        StageError: if a label has no folder, an image no mask, or a mask no image.
    """
    cases = []
    for label in labels:
        files = files_in(root, folder / label, (".png",), meaning=f"images labelled {label!r}")
        masks: dict[Path, list[Path]] = {path: [] for path in files if not MASK.fullmatch(path.stem)}
        for path in files:
            if found := MASK.fullmatch(path.stem):
                image = path.with_stem(found["image"])
                if image not in masks:
                    raise without_image(root / path, path.parent)
                masks[image].append(path)
        for image, its_masks in masks.items():
            if not its_masks:
                raise without_mask(root, image, image.with_name(f"{image.stem}_mask"), [])
            cases.append(Case(image, tuple(its_masks), label, patient(image.stem) if patient else None))
    return cases
