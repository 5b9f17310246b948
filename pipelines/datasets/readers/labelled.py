"""Images to classify, in one folder per label: brain tumour MRI and tomato leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in
from pipelines.datasets.readers.layout import tops

PARTITIONS = {"Training": "train", "Testing": "test"}
TUMOURS = {"glioma": "tumor", "meningioma": "tumor", "pituitary": "tumor", "notumor": "notumor"}
LEAVES = {
    "Bacterial_spot": "diseased",
    "Late_blight": "diseased",
    "Target_Spot": "diseased",
    "Tomato_mosaic_virus": "diseased",
    "healthy": "healthy",
}


def read_brain_tumor_mri(root: Path, labels: Sequence[str]) -> list[Case]:
    """Brain tumour MRI: `{Training,Testing}/<label>/*.jpg`. Images repeat between the two."""
    return [
        case
        for folder, split in PARTITIONS.items()
        for case in read_folders(root, Path(folder), labels, official_split=split)
    ]


def read_brain_tumor_binary(root: Path, labels: Sequence[str]) -> list[Case]:
    """Brain tumour MRI with a tumour of any kind, or without one."""
    return _merged(read_brain_tumor_mri, root, TUMOURS)


def read_tomato_leaf(root: Path, labels: Sequence[str]) -> list[Case]:
    """PlantVillage: `Plant_leave_diseases_dataset_without_augmentation/Tomato___<label>/*.JPG`; the other plants and
    diseases are left aside."""
    return read_folders(root, Path("Plant_leave_diseases_dataset_without_augmentation"), labels, prefix="Tomato___")


def read_tomato_leaf_binary(root: Path, labels: Sequence[str]) -> list[Case]:
    """Tomato leaves with any of the four diseases, or healthy."""
    return _merged(read_tomato_leaf, root, LEAVES)


def read_label_folders(root: Path, labels: Sequence[str]) -> list[Case]:
    """Anybody's images to classify: `<label>/*.png`, or another picture format. A lone folder on top is entered."""
    top = next((top for top in tops(root) if any((top / label).is_dir() for label in labels)), root)
    return read_folders(root, top.relative_to(root), labels)


def read_folders(
    root: Path, folder: Path, labels: Sequence[str], *, prefix: str = "", official_split: str | None = None
) -> list[Case]:
    """The pictures of `root / folder / <prefix><label>`. Raises StageError if a label has no folder."""
    return [
        Case(image, (), label, official_split=official_split)
        for label in labels
        for image in files_in(root, folder / f"{prefix}{label}", meaning=f"images labelled {label!r}")
    ]


def _merged(read: Callable[[Path, Sequence[str]], list[Case]], root: Path, merge: Mapping[str, str]) -> list[Case]:
    """The cases under labels that stand for several of the publisher's."""
    return [replace(case, label=merge[case.label]) for case in read(root, tuple(merge))]
