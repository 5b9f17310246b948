"""Skin lesions: ISIC 2017, ISIC 2018 (task 1) and PH2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in, folders_in, paired

LESION = "lesion"

ISIC_2017 = {
    "train": ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"),
    "val": ("ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"),
    "test": ("ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth"),
}
ISIC_2018 = {
    "train": ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"),
    "val": ("ISIC2018_Task1-2_Validation_Input", "ISIC2018_Task1_Validation_GroundTruth"),
    "test": ("ISIC2018_Task1-2_Test_Input", "ISIC2018_Task1_Test_GroundTruth"),
}


def read_isic2017(root: Path, labels: Sequence[str]) -> list[Case]:
    """ISIC 2017: 2000, 150 and 600 images. Superpixels, `ISIC_0000000_superpixels.png`, lie among them."""
    return _read_isic(root, ISIC_2017)


def read_isic2018(root: Path, labels: Sequence[str]) -> list[Case]:
    """ISIC 2018, task 1: 2594, 100 and 1000 images."""
    return _read_isic(root, ISIC_2018)


def read_ph2(root: Path, labels: Sequence[str]) -> list[Case]:
    """PH2: `PH2Dataset/PH2 Dataset images/IMD002/{IMD002_Dermoscopic_Image/IMD002,IMD002_lesion/IMD002_lesion}.bmp`.

    Raises:
        StageError: if a case lacks its image or its mask.
    """
    cases = []
    for folder in folders_in(root, Path("PH2Dataset/PH2 Dataset images")):
        name = folder.name
        image = folder / f"{name}_Dermoscopic_Image" / f"{name}.bmp"
        mask = folder / f"{name}_lesion" / f"{name}_lesion.bmp"
        for path in (image, mask):
            if path not in files_in(root, path.parent, (".bmp",), meaning=f"files of case {name}"):
                raise StageError(f"{root / path}: no such file. Unpack PH2 again, or move {folder.name} elsewhere.")
        cases.append(Case(image, (mask,), LESION))
    return cases


def _read_isic(root: Path, folders: Mapping[str, tuple[str, str]]) -> list[Case]:
    """`<images>/ISIC_0000000.jpg` with `<masks>/ISIC_0000000_segmentation.png`, two folders a split."""
    return [
        Case(image, (mask,), LESION, official_split=split)
        for split, (images, masks) in folders.items()
        for image, mask in paired(
            root,
            Path(images),
            Path(masks),
            mask_of=lambda stem: f"{stem}_segmentation",
            suffixes=((".jpg",), (".png",)),
        )
    ]
