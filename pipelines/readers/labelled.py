"""Images to classify, in one folder per label: brain tumour MRI and tomato leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.readers.cases import Case
from pipelines.readers.folders import files_in

PARTITIONS = {"Training": "train", "Testing": "test"}


def read_brain_tumor_mri(root: Path, labels: Sequence[str]) -> list[Case]:
    """Brain tumour MRI: `{Training,Testing}/<label>/*.jpg`. Images repeat between the two."""
    return [
        case
        for folder, split in PARTITIONS.items()
        for case in read_folders(root, Path(folder), labels, official_split=split)
    ]


def read_tomato_leaf(root: Path, labels: Sequence[str]) -> list[Case]:
    """PlantVillage: `Plant_leave_diseases_dataset_without_augmentation/Tomato___<label>/*.JPG`; the other plants and
    diseases are left aside."""
    return read_folders(root, Path("Plant_leave_diseases_dataset_without_augmentation"), labels, prefix="Tomato___")


def read_label_folders(root: Path, labels: Sequence[str]) -> list[Case]:
    """Anybody's images to classify: `<label>/*.png`, or another picture format."""
    return read_folders(root, Path(), labels)


def read_folders(
    root: Path, folder: Path, labels: Sequence[str], *, prefix: str = "", official_split: str | None = None
) -> list[Case]:
    """The pictures of `root / folder / <prefix><label>`. Raises StageError if a label has no folder."""
    return [
        Case(image, (), label, official_split=official_split)
        for label in labels
        for image in files_in(root, folder / f"{prefix}{label}", meaning=f"images labelled {label!r}")
    ]
