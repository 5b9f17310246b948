"""Published data sets that are not whole, each in its publisher's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines.datasets.catalogue import load_catalogue
from tests.support.audited import place_manifest
from tests.support.bad_input.kinds import add
from tests.support.bad_input.place import Place
from tests.support.layouts import build, mask, matlab, picture, volume

Spoil = Callable[[Path], object]


def the(root: Path, pattern: str) -> Path:
    """The one file or folder that fits: what is met first among several depends on the version of Python."""
    (path,) = root.rglob(pattern)
    return path


def delete(name: str) -> Spoil:
    """A file is missing."""
    return lambda root: the(root, name).unlink()


def move(name: str) -> Spoil:
    """A folder has another name."""
    return lambda root: the(root, name).rename(root / f"moved {name}")


def rewrite(name: str, old: str, new: str) -> Spoil:
    """A table says something else."""

    def change(root: Path) -> None:
        path = the(root, name)
        path.write_text(path.read_text().replace(old, new))

    return change


def cut(name: str) -> Spoil:
    """A file was not copied to its end."""

    def change(root: Path) -> None:
        path = the(root, name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    return change


def unlisted(root: Path) -> None:
    """An image and its mask that the table lacks."""
    picture(root / "BUSBRA/Images/bus_9-l.png", "L")
    mask(root / "BUSBRA/Masks/mask_9-l.png")


BRATS, PICAI = "Brats18_TCIA_9_1", "10001_1000001"
NOT_WHOLE: list[tuple[str, str, Spoil, tuple[str, ...]]] = [
    (
        "image deleted",
        "busc",
        delete("images/benign2.png"),
        ("masks/benign2.png: a mask without its image", "Add or rename the image"),
    ),
    (
        "name without a label",
        "busc",
        lambda root: [path.rename(path.with_name("us12.png")) for path in root.rglob("Segmentation/*/benign1.png")],
        ("us12.png: its name holds none of the labels benign, malignant. Rename it",),
    ),
    (
        "second mask",
        "busc",
        lambda root: mask(the(root, "masks") / "benign1.bmp"),
        ("masks/benign1.", "a second mask beside benign1.", "Move the one that is not meant"),
    ),
    (
        "no folder of images",
        "bus_synthetic",
        move("images"),
        ("expected one such folder. Found none. Found in data/raw/bus",),
    ),
    ("mask deleted", "bus_bra", delete("mask_0001-r.png"), ("bus_0001-r.png: an image without its mask",)),
    ("table deleted", "bus_bra", delete("bus_data.csv"), ("bus_data.csv: no such file. Fetch the data set again",)),
    (
        "row without image",
        "bus_bra",
        rewrite("bus_data.csv", "bus_0002-s", "bus_0003-s"),
        ("bus_data.csv: bus_0003-s is listed, but has no image",),
    ),
    ("image without row", "bus_bra", unlisted, ("bus_data.csv: no row for bus_9-l.png", "move the image elsewhere")),
    (
        "table without a column",
        "bus_bra",
        rewrite("bus_data.csv", "Case", "Patient"),
        ("bus_data.csv: expected the column 'Case'. Found ID, Patient, ",),
    ),
    (
        "row without patient",
        "bus_bra",
        rewrite("bus_data.csv", "s,7,", "s,,"),
        ("bus_data.csv, line 4: 'Case' is empty. Fill it in or remove the row",),
    ),
    (
        "table that is no text",
        "bus_bra",
        lambda root: (root / "BUSBRA/bus_data.csv").write_bytes(b"\xff\xfe\x00I"),
        ("bus_data.csv: not a table of comma-separated values",),
    ),
    (
        "archive not unpacked",
        "isic2017",
        move("ISIC-2017_Validation_Data"),
        ("isic2017/ISIC-2017_Validation_Data: no such folder",),
    ),
    (
        "mask deleted",
        "isic2018",
        delete("ISIC_0012001_segmentation.png"),
        ("ISIC_0012001.jpg: an image without its mask", "Add or rename the mask"),
    ),
    (
        "mask deleted",
        "ph2",
        delete("IMD409_lesion.bmp"),
        ("IMD409_lesion.bmp: no such file. Unpack PH2 again, or move IMD409 elsewhere",),
    ),
    (
        "folder renamed",
        "ph2",
        move("IMD409_lesion"),
        ("IMD409_lesion: no such folder; files of case IMD409 were expected",),
    ),
    ("modality deleted", "brats2018", delete(f"{BRATS}_t1ce.nii.gz"), (f"{BRATS}_t1ce.nii.gz: no such file",)),
    ("grade deleted", "brats2018", move("LGG"), ("LGG: no such folder; cases labelled 'LGG' were expected",)),
    (
        "modality of another size",
        "brats2018",
        lambda root: volume(root / f"LGG/{BRATS}/{BRATS}_t2.nii.gz", np.ones((5, 6, 9), np.int16)),
        (f"{BRATS}_t2.nii.gz: the modality has 5 x 6 x 9", "Resample the modality onto its image"),
    ),
    (
        "volume cut short",
        "brats2018",
        cut(f"{BRATS}_t1.nii.gz"),
        (f"{BRATS}_t1.nii.gz: cannot be read as a volume", "Replace it"),
    ),
    (
        "mask cut short",
        "brats2018",
        cut(f"{BRATS}_seg.nii.gz"),
        (f"{BRATS}_seg.nii.gz: cannot be read as a volume", "Replace it"),
    ),
    ("modality deleted", "picai2022", delete(f"{PICAI}_adc.mha"), (f"{PICAI}_adc.mha: no such file",)),
    (
        "labels not unpacked",
        "picai2022",
        move("picai_labels-main"),
        ("picai_labels*: expected one such folder. Found none",),
    ),
    (
        "answer that is none",
        "picai2022",
        rewrite("marksheet.csv", "YES", "maybe"),
        (f"marksheet.csv: expected YES or NO as case_csPCa of {PICAI}. Found 'MAYBE'",),
    ),
    (
        "older table",
        "picai2022",
        rewrite("marksheet.csv", "case_csPCa", "csPCa"),
        ("marksheet.csv: expected the column 'case_csPCa'",),
    ),
    (
        "half not unpacked",
        "brain_tumor_mri",
        move("Testing"),
        ("Testing/glioma: no such folder; images labelled 'glioma' were expected",),
    ),
    (
        "label not unpacked",
        "tomato_leaf",
        move("Tomato___healthy"),
        ("Tomato___healthy: no such folder; images labelled 'healthy' were expected",),
    ),
    ("mask deleted", "deepglobe", delete("455_mask.png"), ("455_sat.jpg: no mask of tile 455. Add it",)),
    ("tile deleted", "deepglobe", delete("455_sat.jpg"), ("455_mask.png: no image of tile 455", "move this elsewhere")),
    (
        "unknown colour",
        "deepglobe_water",
        lambda root: picture(root / "train/455_mask.png", size=(90, 1)),
        ("455_mask.png: unknown colour (", "Known: (0, 0, 0), ", "Recolour or remove it"),
    ),
    ("image deleted", "crack_forest", delete("101.jpg"), ("101.mat: a mask without its image in CrackForest-dataset",)),
    (
        "mask of another size",
        "crack_forest",
        lambda root: matlab(the(root, "101.mat"), np.ones((3, 4))),
        ("101.mat: the mask has 3 x 4 pixels", "Replace the mask, or move the case elsewhere"),
    ),
    ("mask cut short", "crack_forest_patches", cut("001.mat"), ("001.mat: no MATLAB file with groundTruth", "Replace")),
]


def _laid_out(reader: str, spoil: Spoil) -> Callable[[Place], None]:
    def lay_out(place: Place) -> None:
        root = place.data / "raw" / reader
        build(reader, root)
        place_manifest(place.data, load_catalogue()[reader])
        spoil(root)

    return lay_out


for name, reader, spoil, (first, *others) in NOT_WHOLE:
    add(name, f"audit {reader}", (f"data/raw/{reader}/", first, *others), _laid_out(reader, spoil))
