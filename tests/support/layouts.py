"""For each reader a tiny data set in the publisher's layout, with the traps that the published one has."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import Image
from scipy.io import savemat

from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.readers.land_cover import CLASSES
from pipelines.fetch.phantom3d import generate

LESIONS = ["background", "lesion"]
Build = Callable[[Path], None]


def make_entry(reader: str, labels: Sequence[str], classes: Sequence[str] = (), **more: Any) -> DatasetEntry:
    """An entry of the catalogue; without `classes` it is one to classify by `labels`."""
    values = {"name": reader, "reader": reader, "title": reader, "labels": labels, "classes": classes or labels}
    values |= {"task": "segmentation" if classes else "classification", "channels": 3, "terms": "-", "citation": "-"}
    values |= {"sources": [{"kind": "generated", "count": 1, "seed": 0}]}
    return DatasetEntry.model_validate({**values, **more})


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 6), seed: int = 0) -> Path:
    """A picture of (width, height) with something on it; its format follows from the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def mask(
    path: Path, lit: Sequence[tuple[int, int]] = ((1, 1),), mode: str = "L", size: tuple[int, int] = (8, 6)
) -> Path:
    """A mask of 0 and 255, lit at (row, column)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size[::-1], np.uint8)
    for place in lit:
        pixels[place] = 255
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def volume(
    path: Path, voxels: np.ndarray, spacing: tuple[float, ...] = (1, 1, 1), origin: tuple[float, ...] = (0, 0, 0)
) -> Path:
    """(D, H, W) voxels as a file; spacing and origin in millimetres by width, height and depth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([float(value) for value in spacing])
    image.SetOrigin([float(value) for value in origin])
    sitk.WriteImage(image, str(path), True)
    return path


def matlab(path: Path, segmentation: np.ndarray) -> Path:
    """A MATLAB file with the structure `groundTruth`, as CrackForest has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"groundTruth": {"Segmentation": segmentation, "Boundaries": np.zeros_like(segmentation)}})
    return path


def busi(root: Path) -> None:
    """Two masks of one image, four modes, normal cases."""
    folder = root / "Dataset_BUSI_with_GT"
    for name in ("benign/benign (1)", "benign/benign (10)", "malignant/malignant (1)", "normal/normal (1)"):
        picture(folder / f"{name}.png", seed=len(name))
        mask(folder / f"{name}_mask.png", mode="1")
    mask(folder / "benign/benign (1)_mask_1.png", [(4, 5)], mode="RGBA")


def phantom(root: Path) -> None:
    for name in ("benign/p0001_v0", "benign/p0001_v1", "malignant/p0002_v0"):
        picture(root / f"{name}.png", "L")
        mask(root / f"{name}_mask.png")


def busc(root: Path) -> None:
    """The folder for classification lies beside the one with masks."""
    folder = root / "BUSC Dataset" / "BUSC_Dataset"
    for name in ("benign1", "benign2", "malignant1"):
        picture(folder / "Segmentation" / "images" / f"{name}.png", "L")
        mask(folder / "Segmentation" / "masks" / f"{name}.png")
        picture(folder / "Classification" / f"{name}.png", "L")


def bus_synthetic(root: Path) -> None:
    """Masks are probabilities, some of them nowhere above one half."""
    folder = root / "BUS Synthetic Dataset" / "BUS Synthetic Dataset"
    for number, values in enumerate(([0, 127, 128, 255], [0, 1, 100, 127])):
        picture(folder / "images" / f"{number:03d}.png", "L", size=(4, 1))
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.array([values], np.uint8)).save(folder / "masks" / f"{number:03d}.png")


def bus_bra(root: Path) -> None:
    """Several images of a patient; names of images and masks differ; the number is not the patient."""
    folder, rows = root / "BUSBRA", ["ID,Case,Histology,Pathology,BIRADS,BBOX"]
    for name, case, label in (("0001-l", 1, "malignant"), ("0001-r", 1, "benign"), ("0002-s", 7, "benign")):
        picture(folder / "Images" / f"bus_{name}.png", "L")
        mask(folder / "Masks" / f"mask_{name}.png")
        rows.append(f'bus_{name},{case},"carcinoma, invasive",{label},4,"[1,2,3,4]"')
    text(folder / "bus_data.csv", "\n".join(rows))
    text(folder / "5-fold-cv.csv", "ID,Pathology,kFold,valid_1\nbus_0001-l,malignant,3,NaN\n")
    text(folder / "LICENSE.txt", "with citation")


def isic2017(root: Path) -> None:
    """Superpixels lie among the images."""
    for number, split in enumerate(("Training", "Validation", "Test_v2")):
        images, masks = (root / f"ISIC-2017_{split}_{kind}" for kind in ("Data", "Part1_GroundTruth"))
        picture(images / f"ISIC_000000{number}.jpg")
        picture(images / f"ISIC_000000{number}_superpixels.png")
        text(images / f"ISIC-2017_{split}_Data_metadata.csv", "image_id,age,sex\n")
        mask(masks / f"ISIC_000000{number}_segmentation.png")


def isic2018(root: Path) -> None:
    for number, split in enumerate(("Training", "Validation", "Test")):
        images, masks = root / f"ISIC2018_Task1-2_{split}_Input", root / f"ISIC2018_Task1_{split}_GroundTruth"
        picture(images / f"ISIC_001200{number}.jpg")
        mask(masks / f"ISIC_001200{number}_segmentation.png")
        for folder in (images, masks):
            text(folder / "LICENSE.txt", "CC BY-NC")
            text(folder / "ATTRIBUTION.txt", "ISIC")


def ph2(root: Path) -> None:
    """One mask has 24 bits, the others 1; a folder of regions of interest lies beside."""
    for name, mode in (("IMD002", "1"), ("IMD409", "RGB")):
        folder = root / "PH2Dataset" / "PH2 Dataset images" / name
        picture(folder / f"{name}_Dermoscopic_Image" / f"{name}.bmp")
        mask(folder / f"{name}_lesion" / f"{name}_lesion.bmp", mode=mode)
        mask(folder / f"{name}_roi" / f"{name}_R1_Label3.bmp")
    text(root / "PH2Dataset" / "PH2_dataset.txt", "|| Name ||")


def brats2018(root: Path) -> None:
    """Labels 1, 2 and 4 are tumour; a table of survival lies beside."""
    for number, (label, case) in enumerate((("HGG", "Brats18_2013_2_1"), ("LGG", "Brats18_TCIA_9_1"))):
        tumour = np.zeros((5, 6, 8), np.uint8)
        tumour[1 + number : 4, 2, 3:6] = (1, 2, 4)
        for channel, kind in enumerate(("flair", "t1", "t1ce", "t2"), start=1):
            voxels = np.zeros((5, 6, 8), np.int16)
            voxels[1:4, 1:5, 1:7] = channel * 100 + np.arange(72).reshape(3, 4, 6)
            volume(root / label / case / f"{case}_{kind}.nii.gz", voxels)
        volume(root / label / case / f"{case}_seg.nii.gz", tumour)
    text(root / "survival_data.csv", "Brats18ID,Age,Survival\n")


def picai2022(root: Path) -> None:
    """adc and hbv lie on a coarser grid; a patient has two studies, one study has no annotation."""
    repository = root / "picai_labels-main"
    rows = ["patient_id,study_id,mri_date,psa,case_csPCa"]
    for patient, study, answer in ((10000, 1000000, "NO"), (10001, 1000001, "YES"), (10001, 1000002, "NO")):
        place = root / str(patient) / f"{patient}_{study}"
        volume(Path(f"{place}_t2w.mha"), _ramp((3, 8, 8)), (0.5, 0.5, 3))
        for kind in ("adc", "hbv"):
            volume(Path(f"{place}_{kind}.mha"), _ramp((3, 4, 4)), (1, 1, 3), (0.25, 0.25, 0))
        lesion = np.zeros((3, 8, 8), np.uint8)
        lesion[1, 2:5, 2:5] = 3 if answer == "YES" else 0
        if study != 1000002:
            folder = repository / "csPCa_lesion_delineations" / "human_expert" / "resampled"
            volume(folder / f"{place.name}.nii.gz", lesion, (0.5, 0.5, 3))
        rows.append(f"{patient},{study},2019-07-02,7.7,{answer}")
    text(repository / "clinical_information" / "marksheet.csv", "\n".join(rows))
    text(repository / "README.md", "labels")


def brain_tumor_mri(root: Path) -> None:
    for folder, start in (("Training", "Tr"), ("Testing", "Te")):
        for label in ("glioma", "meningioma", "notumor", "pituitary"):
            picture(root / folder / label / f"{start}-{label[:2]}_0010.jpg", "L")


def tomato_leaf(root: Path) -> None:
    """Uppercase suffixes; other plants and diseases beside them."""
    folder = root / "Plant_leave_diseases_dataset_without_augmentation"
    others = ("Apple___healthy", "Tomato___Leaf_Mold", "Background_without_leaves")
    for name in (*(f"Tomato___{label}" for label in TOMATO), *others):
        picture(folder / name / "image (1).jpg").rename(folder / name / "image (1).JPG")


def deepglobe(root: Path) -> None:
    """Only train has masks; their colours are a little off, as the publisher warns."""
    water, forest, unknown = (CLASSES[name] for name in ("water", "forest", "unknown"))
    tiles = {"119": [water, water, forest], "2334": [forest, forest, unknown], "455": [unknown, water, forest]}
    for name, colours in tiles.items():
        picture(root / "train" / f"{name}_sat.jpg", size=(3, 1))
        pixels = np.clip(np.array([colours], np.int16) + np.array([3, -3, 2]), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "train" / f"{name}_mask.png")
    for folder in ("valid", "test"):
        picture(root / folder / "9_sat.jpg", size=(3, 1))
    text(root / "class_dict.csv", "name,r,g,b\nurban_land,0,255,255\n")
    text(root / "metadata.csv", "image_id,split,sat_image_path,mask_path\n")


def crack_forest(root: Path) -> None:
    """Labels 3 and 4 are no crack; more pictures than masks."""
    folder = root / "CrackForest-dataset-master"
    segmentation = np.ones((160, 240), np.uint8)
    segmentation[40, :120] = 2  # crosses the first patch, and half of the second
    segmentation[0:30, 170:230] = 3
    segmentation[100, 10:20] = 2  # ten pixels: neither crack nor no crack
    segmentation[120:150, 90:130] = 4
    for name in ("001", "101", "150"):
        picture(folder / "image" / f"{name}.jpg", size=(240, 160))
    matlab(folder / "groundTruth" / "001.mat", segmentation)
    matlab(folder / "groundTruth" / "101.mat", np.where(segmentation == 2, 1, segmentation))
    text(folder / "README.md", "non-commercial")


def phantom3d(root: Path) -> None:
    """Four patients as the simulator writes them."""
    generate(root, 4, 0)


def crack_collections(root: Path) -> None:
    """Collections of the paper and another one, images with and without a crack, masks beside them."""
    names = {
        "train": ("CFD_001", "Volker_DSC01646_1_2_3_4", "noncrack_noncrack_concrete_wall_1_2.jpg"),
        "test": ("Volker_DSC01646_5_6_7_8", "cracktree200_6192", "Sylvie_Chambon_319", "DeepCrack_7Q3A9060-1"),
    }
    for side, stems in names.items():
        for stem in stems:
            for kind in ("images", "masks"):
                picture(root / "crack_segmentation_dataset" / side / kind / f"{stem}.jpg")


def image_mask_folders(root: Path) -> None:
    for label in ("open", "closed"):
        picture(root / "images" / label / "a.jpg")
        mask(root / "masks" / label / "a.png")


def label_folders(root: Path) -> None:
    for label in ("cat", "dog"):
        picture(root / label / "1.png")
        picture(root / label / "2.tif", "L")


def _ramp(shape: tuple[int, ...]) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) + 1).astype(np.float32)


TOMATO = ("Tomato_mosaic_virus", "Target_Spot", "Bacterial_spot", "Late_blight", "healthy")
COLLECTIONS = ("CFD", "Volker", "cracktree200", "Sylvie_Chambon")
BREAST = ["benign", "malignant"]
PATCHES = {"cut": "patches", "size": [12, 24, 24], "keep": "all"}
SLICES = {"volume": {"cut": "slices"}}


@dataclass(frozen=True)
class Layout:
    """A data set to build, an entry to read it with, and how many cases that gives."""

    build: Build
    entry: DatasetEntry
    count: int


LAYOUTS: Mapping[str, Layout] = {
    layout.entry.reader: layout
    for layout in (
        Layout(busi, make_entry("busi", BREAST, LESIONS), 3),
        Layout(phantom, make_entry("phantom", BREAST, LESIONS), 3),
        Layout(phantom3d, make_entry("phantom3d", ["benign", "cancer"], LESIONS, channels=1, volume=PATCHES), 32),
        Layout(busc, make_entry("busc", BREAST, LESIONS), 3),
        Layout(bus_synthetic, make_entry("bus_synthetic", ["lesion"], LESIONS), 2),
        Layout(bus_bra, make_entry("bus_bra", BREAST, LESIONS), 3),
        Layout(isic2017, make_entry("isic2017", ["lesion"], LESIONS), 3),
        Layout(isic2018, make_entry("isic2018", ["lesion"], LESIONS), 3),
        Layout(ph2, make_entry("ph2", ["lesion"], LESIONS), 2),
        Layout(brats2018, make_entry("brats2018", ["HGG", "LGG"], LESIONS, channels=4, **SLICES), 5),
        Layout(
            picai2022,
            make_entry("picai2022", ["cspca", "benign"], LESIONS, volume={"cut": "slices", "keep": "all"}),
            6,
        ),
        Layout(brain_tumor_mri, make_entry("brain_tumor_mri", ["glioma", "meningioma", "notumor", "pituitary"]), 8),
        Layout(brain_tumor_mri, make_entry("brain_tumor_binary", ["notumor", "tumor"]), 8),
        Layout(tomato_leaf, make_entry("tomato_leaf", TOMATO), 5),
        Layout(tomato_leaf, make_entry("tomato_leaf_binary", ["healthy", "diseased"]), 5),
        Layout(deepglobe, make_entry("deepglobe", ["tile"], list(CLASSES)), 3),
        Layout(deepglobe, make_entry("deepglobe_dominant", ["water", "forest", "unknown"]), 3),
        Layout(deepglobe, make_entry("deepglobe_water", ["water", "other"]), 3),
        Layout(crack_forest, make_entry("crack_forest", ["crack"], ["road", "crack"]), 2),
        Layout(crack_forest, make_entry("crack_forest_patches", ["crack", "no_crack"]), 11),
        Layout(deepglobe, make_entry("deepglobe_water_majority", ["water", "other"]), 3),
        Layout(crack_collections, make_entry("crack_collections", COLLECTIONS), 5),
        Layout(crack_collections, make_entry("crack_collections_binary", ["crack", "no_crack"]), 7),
        Layout(image_mask_folders, make_entry("image_mask_folders", ["open", "closed"], LESIONS), 2),
        Layout(label_folders, make_entry("label_folders", ["cat", "dog"]), 4),
    )
}


def build(reader: str, root: Path) -> DatasetEntry:
    """Lay out the tiny data set of a reader in `root` and give the entry to read it with."""
    root.mkdir(parents=True, exist_ok=True)
    LAYOUTS[reader].build(root)
    return LAYOUTS[reader].entry


def copied_backwards(source: Path, target: Path) -> Path:
    """The same files, created in the reverse order."""
    for path in sorted((path for path in source.rglob("*") if path.is_file()), reverse=True):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return target
