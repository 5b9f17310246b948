"""Breast ultrasound with images and masks in two folders: BUSC, BUS-Synthetic and BUS-BRA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import paired, the_folder
from pipelines.datasets.readers.tables import read_csv


def read_busc(root: Path, labels: Sequence[str]) -> list[Case]:
    """BUSC: `BUSC Dataset/BUSC_Dataset/Segmentation/{images,masks}/x.png`. See `by_name` for the labels."""
    return _segmentation(root, Path("BUSC Dataset/BUSC_Dataset/Segmentation"), labels)


def read_bus_synthetic(root: Path, labels: Sequence[str]) -> list[Case]:
    """BUS-Synthetic: `BUS Synthetic Dataset/**/{images,masks}/x.png`. See `by_name` for the labels."""
    return _segmentation(root, the_folder(root, "BUS Synthetic Dataset*/**/images").parent, labels)


def read_bus_bra(root: Path, labels: Sequence[str]) -> list[Case]:
    """BUS-BRA: `BUSBRA/Images/bus_0001-l.png` with `BUSBRA/Masks/mask_0001-l.png`.

    In `bus_data.csv`, by the image's name, column `Case` is the patient and column `Pathology` the label.

    Raises:
        StageError: if an image is not in the table, or a row has no image.
    """
    folder = Path("BUSBRA")
    table = folder / "bus_data.csv"
    rows = {row["ID"]: row for row in read_csv(root / table, ("ID", "Case", "Pathology"))}
    pairs = paired(root, folder / "Images", folder / "Masks", mask_of=lambda stem: stem.replace("bus_", "mask_", 1))
    if missing := sorted(rows.keys() - {image.stem for image, _ in pairs}):
        raise StageError(f"{root / table}: {missing[0]} is listed, but has no image. Fetch the data set again.")
    cases = []
    for image, mask in pairs:
        if image.stem not in rows:
            raise StageError(f"{root / table}: no row for {image.name}. Add the row, or move the image elsewhere.")
        row = rows[image.stem]
        cases.append(Case(image, (mask,), row["Pathology"], patient=row["Case"]))
    return cases


def by_name(path: Path, labels: Sequence[str]) -> str:
    """The one of `labels` that a file's name holds, in any case. A single label needs no name.

    Raises:
        StageError: if there are several labels and the name holds none.
    """
    found = [label for label in labels if label.lower() in path.stem.lower()]
    if not found and len(labels) > 1:
        raise StageError(
            f"{path}: its name holds none of the labels {', '.join(labels)}. Rename it, or give the data set one label "
            "in the catalogue, `labels: [lesion]`."
        )
    return found[0] if found else labels[0]


def _segmentation(root: Path, folder: Path, labels: Sequence[str]) -> list[Case]:
    pairs = paired(root, folder / "images", folder / "masks")
    return [Case(image, (mask,), by_name(root / image, labels)) for image, mask in pairs]
