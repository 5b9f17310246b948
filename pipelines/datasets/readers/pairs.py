"""Anybody's images to segment: `images/` and `masks/` with files of the same name, or a word more in the masks'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in, folders_in, paired, stem_of
from pipelines.datasets.readers.layout import DATA, tops

FOLDERS = (("images", "masks"), ("imagesTr", "labelsTr"), ("images", "labels"))
WORDS = ("mask", "masks", "segmentation", "seg", "label", "labels", "gt")
"""Masks may all be called `x_mask`, or all `mask_x`, and so with each of these words."""


def read_image_mask_folders(root: Path, labels: Sequence[str]) -> list[Case]:
    """`images/x.jpg` with `masks/x.png`, or with `masks/x_mask.png` if all masks are called so (see `WORDS`); any
    picture format, or volumes: `images/x.nii.gz` with `masks/x.nii.gz`. A lone folder on top is entered.

    With one label every image has it. With several, `images/` and `masks/` have a folder of that name for each.

    Raises:
        StageError: if a folder is missing, an image has no mask, or a mask has no image.
    """
    there = ((top, names) for names in FOLDERS for top in tops(root) if all((top / name).is_dir() for name in names))
    top, names = next(there, (root, FOLDERS[0]))
    images, masks = (top.relative_to(root) / name for name in names)
    below = {label: label for label in labels} if len(labels) > 1 or folders_in(root, images) else {labels[0]: ""}
    return [
        Case(image, (mask,), label)
        for label, folder in below.items()
        for image, mask in _pairs(root, images / folder, masks / folder)
    ]


def _pairs(root: Path, images: Path, masks: Path) -> list[tuple[Path, Path]]:
    before, after = affixes(*([stem_of(path) for path in files_in(root, place, DATA)] for place in (images, masks)))
    return paired(root, images, masks, mask_of=lambda stem: before + stem + after, suffixes=(DATA, DATA))


def affixes(images: Sequence[str], masks: Sequence[str]) -> tuple[str, str]:
    """What stands before and after an image's name in its mask's; nothing unless all masks say so."""
    if masks and set(images) != set(masks):
        for word in WORDS:
            for before, after in (("", f"_{word}"), (f"{word}_", ""), ("", f"-{word}"), (f"{word}-", "")):
                if all(name.startswith(before) and name.endswith(after) for name in masks):
                    return before, after
    return "", ""
