"""Data sets with one folder per label and the masks beside the images: `x.png`, `x_mask.png`, `x_mask_1.png`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.console import StageError
from pipelines.readers.cases import Case

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
        place = folder / label
        if not (root / place).is_dir():
            raise StageError(
                f"{root / place}: no such folder; images labelled {label!r} were expected. Fetch it again."
            )
        names = sorted(path.stem for path in (root / place).glob("*.png"))
        masks: dict[str, list[Path]] = {name: [] for name in names if not MASK.fullmatch(name)}
        for name in names:
            if found := MASK.fullmatch(name):
                if found["image"] not in masks:
                    raise StageError(
                        f"{root / place / name}.png: a mask without its image {found['image']}.png. Fetch it again."
                    )
                masks[found["image"]].append(place / f"{name}.png")
        for name, files in masks.items():
            if not files:
                raise StageError(
                    f"{root / place / name}.png: an image without {name}_mask.png. Add the mask or remove the image."
                )
            cases.append(Case(place / f"{name}.png", tuple(files), label, patient(name) if patient else None))
    return cases
