"""What each reader makes of its publisher's traps; what it says about a data set that is not whole: see `bad_input`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.core.console import StageError
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.readers.case import Case
from tests.support.layouts import BREAST, LAYOUTS, LESIONS, TOMATO, build, make_entry, mask, picture, text


def read(reader: str, root: Path) -> list[Case]:
    return read_cases(build(reader, root), root)


def lit(reader: str, root: Path, case: Case) -> list[list[int]]:
    return np.argwhere(case_mask(LAYOUTS[reader].entry, root, case)).tolist()


def test_busc_is_labelled_by_name_and_read_where_the_masks_are(tmp_path: Path) -> None:
    cases = read("busc", tmp_path)
    assert [(case.image.stem, case.label) for case in cases] == [
        ("benign1", "benign"),
        ("benign2", "benign"),
        ("malignant1", "malignant"),
    ]
    assert all("Segmentation" in case.image.parts for case in cases)


def test_busc_without_labels_in_the_names_can_have_one_label(tmp_path: Path) -> None:
    folder = tmp_path / "BUSC Dataset/BUSC_Dataset/Segmentation"
    picture(folder / "images/us12.png", "L")
    mask(folder / "masks/us12.png")
    assert [case.label for case in read_cases(make_entry("busc", ["lesion"], LESIONS), tmp_path)] == ["lesion"]
    with pytest.raises(StageError, match=r"us12\.png: its name holds none of the labels benign, malignant. Rename it"):
        read_cases(make_entry("busc", BREAST, LESIONS), tmp_path)


def test_bus_synthetic_masks_are_cut_at_one_half(tmp_path: Path) -> None:
    first, second = read("bus_synthetic", tmp_path)
    assert lit("bus_synthetic", tmp_path, first) == [[0, 2], [0, 3]]
    assert lit("bus_synthetic", tmp_path, second) == []


def test_bus_bra_takes_patient_and_label_from_its_table(tmp_path: Path) -> None:
    folder = Path("BUSBRA")
    assert read("bus_bra", tmp_path) == [
        Case(folder / f"Images/bus_{name}.png", (folder / f"Masks/mask_{name}.png",), label, patient)
        for name, label, patient in (
            ("0001-l", "malignant", "1"),
            ("0001-r", "benign", "1"),
            ("0002-s", "benign", "7"),
        )
    ]


@pytest.mark.parametrize("reader", ["isic2017", "isic2018"])
def test_isic_has_an_official_split_and_its_superpixels_are_no_images(tmp_path: Path, reader: str) -> None:
    cases = read(reader, tmp_path)
    assert sorted(case.official_split or "" for case in cases) == ["test", "train", "val"]
    assert all(case.image.suffix == ".jpg" and "superpixels" not in case.image.name for case in cases)
    assert all(case.masks[0].stem == f"{case.image.stem}_segmentation" for case in cases)


def test_isic_2018_is_its_training_images_and_with_its_official_split_all(tmp_path: Path) -> None:
    build("isic2018", tmp_path)
    catalogue = load_catalogue()
    found = {
        name: {case.official_split for case in read_cases(catalogue[name], tmp_path)}
        for name in ("isic2018", "isic2018_official")
    }
    assert found == {"isic2018": {"train"}, "isic2018_official": {"train", "val", "test"}}


def test_ph2_masks_have_1_or_24_bits(tmp_path: Path) -> None:
    cases = read("ph2", tmp_path)
    modes = []
    for case in cases:
        with Image.open(tmp_path / case.masks[0]) as opened:
            modes.append(opened.mode)
        assert lit("ph2", tmp_path, case) == [[1, 1]]
    assert modes == ["1", "RGB"]


def test_brats_may_lie_in_its_publishers_folder(tmp_path: Path) -> None:
    outer = tmp_path / "MICCAI_BraTS_2018_Data_Training"
    build("brats2018", outer)
    cases = read_cases(LAYOUTS["brats2018"].entry, tmp_path)
    assert len(cases) == LAYOUTS["brats2018"].count
    assert [path.name.split("_")[-1] for path in cases[0].files] == [
        "flair.nii.gz",
        "t1.nii.gz",
        "t1ce.nii.gz",
        "t2.nii.gz",
    ]


def test_picai_leaves_studies_without_annotation_aside(tmp_path: Path) -> None:
    cases = read("picai2022", tmp_path)
    assert {(case.patient, case.image.stem, case.label) for case in cases} == {
        ("10000", "10000_1000000_t2w", "benign"),
        ("10001", "10001_1000001_t2w", "cspca"),
    }
    assert [len(lit("picai2022", tmp_path, case)) for case in cases] == [0, 0, 0, 0, 9, 0]


def test_brain_mri_keeps_the_publishers_partition(tmp_path: Path) -> None:
    cases = read("brain_tumor_mri", tmp_path)
    assert {(case.image.parts[0], case.official_split) for case in cases} == {
        ("Training", "train"),
        ("Testing", "test"),
    }


def test_tomato_leaves_other_plants_and_diseases_aside(tmp_path: Path) -> None:
    cases = read("tomato_leaf", tmp_path)
    assert sorted(case.label for case in cases) == sorted(TOMATO)
    assert all(case.image.suffix == ".JPG" for case in cases)


def test_binary_tasks_merge_the_publishers_labels(tmp_path: Path) -> None:
    tumours = {(case.image.parent.name, case.label) for case in read("brain_tumor_binary", tmp_path / "mri")}
    kinds = {"glioma", "meningioma", "pituitary"}
    assert tumours == {("notumor", "notumor"), *((kind, "tumor") for kind in kinds)}
    leaves = [case.label for case in read("tomato_leaf_binary", tmp_path / "leaves")]
    assert sorted(leaves) == ["diseased"] * 4 + ["healthy"]


def test_at_most_so_many_of_each_folder_are_taken_whatever_they_are_merged_to(tmp_path: Path) -> None:
    entry = build("tomato_leaf_binary", tmp_path)
    for label in (*TOMATO[:2], "healthy"):
        for number in range(2, 7):
            picture(next(tmp_path.glob(f"*/Tomato___{label}")) / f"image ({number}).jpg", seed=number)
    cases = read_cases(entry.model_copy(update={"at_most": 3}), tmp_path)
    counts = Counter((case.image.parent.name.removeprefix("Tomato___"), case.label) for case in cases)
    assert counts == {
        (TOMATO[0], "diseased"): 3, (TOMATO[1], "diseased"): 3, ("Bacterial_spot", "diseased"): 1,
        ("Late_blight", "diseased"): 1, ("healthy", "healthy"): 3,
    }  # fmt: skip
    assert cases == read_cases(entry.model_copy(update={"at_most": 3}), tmp_path)


def test_cracks_are_told_apart_by_their_collection_or_from_sound_walls(tmp_path: Path) -> None:
    build("crack_collections", tmp_path)
    catalogue = load_catalogue()
    of_four = read_cases(catalogue["crack_collections"], tmp_path)
    assert Counter(case.label for case in of_four) == {"CFD": 1, "Volker": 2, "cracktree200": 1, "Sylvie_Chambon": 1}
    assert {case.patient for case in of_four if case.label == "Volker"} == {"Volker_DSC01646"}, "one photograph"
    binary = read_cases(catalogue["crack_collections_binary"], tmp_path)
    assert Counter((case.label, case.official_split) for case in binary) == {
        ("crack", "train"): 2, ("no_crack", "train"): 1, ("crack", "test"): 4,
    }  # fmt: skip


def test_deepglobe_has_seven_classes(tmp_path: Path) -> None:
    entry = build("deepglobe", tmp_path)
    water, forest, unknown = (entry.classes.index(name) for name in ("water", "forest", "unknown"))
    masks = [case_mask(entry, tmp_path, case)[0].tolist() for case in read_cases(entry, tmp_path)]
    assert masks == [[water, water, forest], [forest, forest, unknown], [unknown, water, forest]]


def test_deepglobe_tiles_are_labelled_by_what_covers_most_and_by_water(tmp_path: Path) -> None:
    assert [case.label for case in read("deepglobe_dominant", tmp_path)] == ["water", "forest", "unknown"]
    assert [case.label for case in read("deepglobe_water", tmp_path)] == ["water", "other", "water"]
    assert [case.label for case in read("deepglobe_water_majority", tmp_path)] == ["water", "other", "other"]


def test_what_a_crack_encloses_is_no_crack(tmp_path: Path) -> None:
    cracked, sound = read("crack_forest", tmp_path)
    assert len(lit("crack_forest", tmp_path, cracked)) == 120 + 10
    assert lit("crack_forest", tmp_path, sound) == []


def test_patches_hold_a_crack_or_none(tmp_path: Path) -> None:
    entry = build("crack_forest_patches", tmp_path)
    labels = {case.name.split("/")[-1]: case.label for case in read_cases(entry, tmp_path)}
    assert labels["001.jpg[0000:0080,0000:0080]"] == "crack"  # 80 pixels of it
    assert labels["001.jpg[0000:0080,0080:0160]"] == "crack"  # 40, as many as must be
    assert labels["001.jpg[0000:0080,0160:0240]"] == "no_crack"
    assert "001.jpg[0080:0160,0000:0080]" not in labels  # 10: neither
    assert [label for name, label in labels.items() if name.startswith("101")] == ["no_crack"] * 6
    whole = case_image(entry, tmp_path, Case.named("CrackForest-dataset-master/image/001.jpg"))
    for case in read_cases(entry, tmp_path)[:2]:
        column = int(case.part[-4:])
        np.testing.assert_array_equal(case_image(entry, tmp_path, case), whole[:80, column - 80 : column])


def test_one_label_needs_no_folders(tmp_path: Path) -> None:
    picture(tmp_path / "images/scan 1.jpg")
    mask(tmp_path / "masks/scan 1.png")
    (case,) = read_cases(make_entry("image_mask_folders", ["lesion"], LESIONS), tmp_path)
    assert (case.image, case.masks, case.label) == (Path("images/scan 1.jpg"), (Path("masks/scan 1.png"),), "lesion")


def test_names_with_the_separator_are_refused(tmp_path: Path) -> None:
    entry = build("label_folders", tmp_path)
    picture(tmp_path / "cat/a;b.png")
    with pytest.raises(StageError, match=r"a;b\.png: names with ';' are not read. Rename the file"):
        read_cases(entry, tmp_path)


def test_a_table_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    entry = build("bus_bra", tmp_path)
    path = tmp_path / "BUSBRA/bus_data.csv"
    text(path, "\ufeff" + path.read_text())
    assert len(read_cases(entry, tmp_path)) == 3
