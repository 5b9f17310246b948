"""Anybody's images to segment: `images/` and `masks/` with files of the same name, or masks that end with `_mask`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import PICTURES, VOLUMES, files_in, folders_in, paired, stem_of

SUFFIX = "_mask"
FORMATS = (*PICTURES, *VOLUMES)


def read_image_mask_folders(root: Path, labels: Sequence[str]) -> list[Case]:
    """`images/x.jpg` with `masks/x.png`, or with `masks/x_mask.png` if all masks are called so; any picture format, or
    volumes: `images/x.nii.gz` with `masks/x.nii.gz`.

    With one label every image has it. With several, `images/` and `masks/` have a folder of that name for each.

    Raises:
        StageError: if a folder is missing, an image has no mask, or a mask has no image.
    """
    images, masks = Path("images"), Path("masks")
    below = {label: label for label in labels} if len(labels) > 1 or folders_in(root, images) else {labels[0]: ""}
    return [
        Case(image, (mask,), label)
        for label, folder in below.items()
        for image, mask in _pairs(root, images / folder, masks / folder)
    ]


def _pairs(root: Path, images: Path, masks: Path) -> list[tuple[Path, Path]]:
    suffix = SUFFIX if all(stem_of(mask).endswith(SUFFIX) for mask in files_in(root, masks, FORMATS)) else ""
    return paired(root, images, masks, mask_of=lambda stem: stem + suffix, suffixes=(FORMATS, FORMATS))
