"""`python -m pipelines.describe FOLDER`: what it proposes is read by every stage up to the arrays, unchanged."""

from __future__ import annotations

import runpy
import shutil
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from PIL import Image

from pipelines.artifacts import arrays
from tests.support.layouts import volume
from tests.support.pictures import disc, texture

PATIENTS = 14
SIZE = (20, 24)


def image(path: Path, seed: int, *, colour: bool = False, exif: int = 1) -> None:
    """A picture like no other, in the format that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = texture(seed, *SIZE)
    tags = Image.Exif()
    tags[274] = exif
    picture = Image.fromarray(np.dstack([pixels, pixels[::-1], pixels]) if colour else pixels)
    picture.save(path, "JPEG" if path.suffix == ".jfif" else None, **({"exif": tags} if exif != 1 else {}))


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(disc(*SIZE)).save(path)


def two_folders(scans: Path) -> None:
    for number in range(PATIENTS):
        image(scans / f"images/{number}.png", number)
        mask(scans / f"masks/{number}.png")


def labels_in_two_folders(scans: Path) -> None:
    """In colour, masks in another format with another name, a zip's leavings and a file that nobody reads."""
    for number in range(PATIENTS):
        label = "benign" if number % 2 else "malignant"
        image(scans / f"photos/{label}/IMG_{number:03d}.JPG", number, colour=True)
        mask(scans / f"GroundTruth/{label}/IMG_{number:03d}_segmentation.gif")
    (scans / "photos/benign/notes.heic").write_bytes(b"?")
    mask(scans / "photos/benign/@eaDir/IMG_001.png")


def beside_with_a_suffix(scans: Path) -> None:
    for number in range(PATIENTS):
        image(scans / f"{number}.webp", number)
        mask(scans / f"{number}_Segmentation.png")


def beside_with_numbers(scans: Path) -> None:
    """Some images have two masks, as in BUSI."""
    for number in range(PATIENTS):
        image(scans / f"us {number}.bmp", number)
        mask(scans / f"us {number}_mask.png")
    mask(scans / "us 3_mask_1.png")


def prefixes(scans: Path) -> None:
    """As in BUS-BRA: both have a prefix."""
    for number in range(PATIENTS):
        image(scans / f"Images/bus_{number:04d}-l.png", number)
        mask(scans / f"Masks/mask_{number:04d}-l.png")


def decathlon(scans: Path) -> None:
    for number in range(PATIENTS):
        lesion = np.zeros((3, *SIZE), np.uint8)
        lesion[1, 5:9, 5:9] = 1
        voxels = np.stack([texture(10 * number + depth, *SIZE) for depth in range(3)]).astype(np.int16)
        volume(scans / f"imagesTr/liver_{number:03d}.nii.gz", voxels)
        volume(scans / f"labelsTr/liver_{number:03d}.nii.gz", lesion)
    volume(scans / "imagesTs/liver_900.nii.gz", voxels)
    (scans / "dataset.json").write_text("{}")


def nnunet(scans: Path) -> None:
    """Two modalities."""
    for number in range(PATIENTS):
        lesion = np.zeros((3, *SIZE), np.uint8)
        lesion[1, 5:9, 5:9] = 1
        for kind in range(2):
            voxels = np.stack([texture(100 * kind + 10 * number + depth, *SIZE) for depth in range(3)])
            volume(scans / f"imagesTr/case_{number:03d}_000{kind}.nii.gz", voxels.astype(np.int16))
        volume(scans / f"labelsTr/case_{number:03d}.nii.gz", lesion)


def patients_in_two_folders(scans: Path) -> None:
    for number in range(PATIENTS):
        for side in ("left", "right"):
            image(scans / f"images/patient{number:02d}/{side}_{number}.tif", 2 * number + len(side))
            mask(scans / f"labels/patient{number:02d}/{side}_{number}.tif")


def patients_with_the_same_names(scans: Path) -> None:
    for number in range(PATIENTS):
        image(scans / f"case {number}/image.jpg", number, exif=3)
        mask(scans / f"case {number}/mask.png")


def patients_with_modalities(scans: Path) -> None:
    """As in BraTS."""
    for number in range(PATIENTS):
        lesion = np.zeros((3, *SIZE), np.uint8)
        lesion[1, 5:9, 5:9] = 1
        for kind, name in enumerate(("flair", "t1")):
            voxels = np.stack([texture(100 * kind + 10 * number + depth, *SIZE) for depth in range(3)])
            volume(scans / f"B{number:02d}/B{number:02d}_{name}.nii.gz", voxels.astype(np.int16))
        volume(scans / f"B{number:02d}/B{number:02d}_seg.nii.gz", lesion)


def classes(scans: Path) -> None:
    for number in range(PATIENTS):
        image(scans / ("cat" if number % 2 else "dog") / f"{number}.jfif", number, colour=True)


def classes_in_sides(scans: Path) -> None:
    for number in range(2 * PATIENTS):
        side = "train" if number < PATIENTS else "test"
        image(scans / side / ("normal" if number % 2 else "lesion") / f"{number}.avif", number, colour=True)


def several_classes(scans: Path) -> None:
    """Labels 0, 1, 2 and a void border of 255, nobody says what of."""
    labels = np.zeros(SIZE, np.uint8)
    labels[2:9, 5:9], labels[12:19, 3:20], labels[:, :2] = 1, 2, 255
    for number in range(PATIENTS):
        image(scans / f"images/{number}.png", number)
        (scans / "masks").mkdir(exist_ok=True)
        Image.fromarray(labels).save(scans / f"masks/{number}.png")


def named_classes_in_four_axes(scans: Path) -> None:
    """As in the decathlon's task 1: modalities along the fourth axis, labels named in a table."""
    labels = np.zeros((3, *SIZE), np.uint8)
    labels[1, 5:9, 5:9], labels[1, 12:15, 12:15] = 1, 2
    for number in range(PATIENTS):
        stack = [[texture(100 * kind + 10 * number + depth, *SIZE) for depth in range(3)] for kind in range(2)]
        (scans / "imagesTr").mkdir(parents=True, exist_ok=True)
        four = sitk.GetImageFromArray(np.array(stack, np.int16), isVector=False)
        sitk.WriteImage(four, str(scans / f"imagesTr/b_{number:03d}.nii.gz"))
        volume(scans / f"labelsTr/b_{number:03d}.nii.gz", labels)
    (scans / "dataset.json").write_text('{"labels": {"0": "background", "1": "edema", "2": "tumour"}}')


def accents(scans: Path) -> None:
    """Images came by macOS, masks did not."""
    for number in range(PATIENTS):
        names = [unicodedata.normalize(form, f"größe {number}.png") for form in ("NFD", "NFC")]
        image(scans / "images" / names[0], number)
        mask(scans / "masks" / names[1])


LAYOUTS: dict[Callable[[Path], None], tuple[dict[str, Any], int]] = {
    two_folders: ({"channels": 1, "layout": None}, PATIENTS),
    labels_in_two_folders: (
        {
            "channels": 3,
            "labels": ["benign", "malignant"],
            "layout": {"image": "photos/{label}/{name}", "mask": "GroundTruth/{label}/{name}_segmentation"},
        },
        PATIENTS,
    ),
    beside_with_a_suffix: ({"layout": {"image": "{name}", "mask": "{name}_Segmentation"}}, PATIENTS),
    beside_with_numbers: ({"layout": {"image": "{name}", "mask": "{name}_mask*"}}, PATIENTS),
    prefixes: ({"layout": {"image": "Images/bus_{name}", "mask": "Masks/mask_{name}"}}, PATIENTS),
    decathlon: (
        {"volume": {"cut": "slices"}, "layout": {"image": "imagesTr/{name}", "mask": "labelsTr/{name}"}},
        PATIENTS,
    ),
    nnunet: (
        {"channels": 2, "layout": {"image": [f"imagesTr/{{name}}_000{k}" for k in (0, 1)], "mask": "labelsTr/{name}"}},
        PATIENTS,
    ),
    patients_in_two_folders: (
        {"layout": {"image": "images/{patient}/{name}", "mask": "labels/{patient}/{name}"}},
        2 * PATIENTS,
    ),
    patients_with_the_same_names: ({"layout": {"image": "{patient}/image", "mask": "{patient}/mask"}}, PATIENTS),
    patients_with_modalities: (
        {
            "channels": 2,
            "layout": {
                "image": ["{patient}/{patient}_flair", "{patient}/{patient}_t1"],
                "mask": "{patient}/{patient}_seg",
            },
        },
        PATIENTS,
    ),
    classes: ({"task": "classification", "classes": ["cat", "dog"], "layout": None}, PATIENTS),
    classes_in_sides: (
        {"task": "classification", "labels": ["lesion", "normal"], "layout": {"image": "{side}/{label}/{name}"}},
        2 * PATIENTS,
    ),
    accents: ({"layout": None}, PATIENTS),
    several_classes: (
        {
            "classes": ["background", "class_1", "class_2", "class_3"],
            "values": {0: "background", 1: "class_1", 2: "class_2", 255: "class_3"},
        },
        PATIENTS,
    ),
    named_classes_in_four_axes: (
        {
            "classes": ["background", "edema", "tumour"],
            "channels": 2,
            "values": {0: "background", 1: "edema", 2: "tumour"},
        },
        PATIENTS,
    ),
}  # fmt: skip


def run(module: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """`python -m pipelines.module arguments`, in this process; returns the exit status."""
    monkeypatch.setattr(sys, "argv", [f"pipelines.{module}", *arguments])
    try:
        runpy.run_module(f"pipelines.{module}", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a person works."""
    (tmp_path / "data").mkdir()
    (tmp_path / "params.yaml").write_text("study: quickstart\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMF_DATA_MIRROR", "")
    return tmp_path


def described(folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run("describe", folder, monkeypatch=monkeypatch) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("build", LAYOUTS, ids=lambda build: build.__name__)
def test_the_proposal_runs_from_fetch_to_filter(
    build: Callable[[Path], None], place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build(place / "scans")
    expected, count = LAYOUTS[build]
    text = described("scans", monkeypatch, capsys)
    (entry,) = yaml.safe_load(text).values()
    assert {key: entry.get(key) for key in expected} == expected
    written = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(written) <= 12
    (place / "data/catalogue.yaml").write_text(text)
    for stage, more in (("fetch", ()), ("audit", ()), ("split", ()), ("filter", ("--size", "16"))):
        assert run(stage, "--dataset", "scans", *more, monkeypatch=monkeypatch) == 0, capsys.readouterr().err
    prepared = arrays.load(Path("data"), "scans", 16)
    assert prepared.images.shape == (count, entry["channels"], 16, 16)
    assert set(np.unique(prepared.targets)) == set(range(len(entry["classes"])))


@pytest.mark.slow
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_so_does_that_of_an_archive_with_a_folder_on_top(
    place: Path, slash: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patients_in_two_folders(place / "scans")
    with zipfile.ZipFile(place / "my scans.zip", "w") as archive:
        for path in sorted((place / "scans").rglob("*.tif")):
            archive.writestr(path.relative_to(place).as_posix().replace("/", slash), path.read_bytes())
    shutil.rmtree(place / "scans")
    text = described("my scans.zip", monkeypatch, capsys)
    assert "layout: {image: 'images/{patient}/{name}', mask: 'labels/{patient}/{name}'}" in text
    (place / "data/catalogue.yaml").write_text(text)
    for stage, more in (("fetch", ()), ("audit", ()), ("split", ()), ("filter", ("--size", "16"))):
        assert run(stage, "--dataset", "my_scans", *more, monkeypatch=monkeypatch) == 0, capsys.readouterr().err
    assert len(arrays.load(Path("data"), "my_scans", 16).images) == 2 * PATIENTS


def flat(scans: Path) -> None:
    for number in range(3):
        image(scans / f"{number}.png", number)


def one_class(scans: Path) -> None:
    for number in range(3):
        image(scans / f"cats/{number}.png", number)


def braces(scans: Path) -> None:
    for number in range(3):
        image(scans / f"images }}{{/{number}.png", number)
        mask(scans / f"masks }}{{/{number}.png")


def masks_of_other_images(scans: Path) -> None:
    for number in range(6):
        image(scans / f"images/{'abcdef'[number]}.png", number)
        mask(scans / f"masks/{'uvwxyz'[number]}.png")


def dicom(scans: Path) -> None:
    scans.mkdir()
    (scans / "IM0001.dcm").write_bytes(bytes(128) + b"DICM")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (flat, "3 pictures or volumes, but neither masks nor folders of labels were made out. Expected masks"),
        (one_class, "3 pictures or volumes, but neither masks nor folders of labels were made out"),
        (masks_of_other_images, "12 pictures or volumes, but neither masks nor folders of labels were made out"),
        (braces, "6 pictures or volumes, but neither masks nor folders of labels were made out"),
        (dicom, "scans: no picture or volume in it. Found in scans: files 1 .dcm. DICOM is not read"),
        (lambda scans: None, "scans: no such folder or archive"),
        (lambda scans: scans.write_bytes(b"Rar!\x1a\7\0"), "scans: it is a RAR archive. Expected a folder"),
    ],
)
def test_what_it_cannot_know_is_said_with_what_was_found(
    build: Callable[[Path], None],
    said: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build(place / "scans")
    assert run("describe", "scans", monkeypatch=monkeypatch) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("error: ") == 1


def test_doubts_stand_above_the_entry(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image without a mask, a broken one, masks of three values, a folder that is no part of it."""
    two_folders(place / "scans")
    (place / "scans/masks/3.png").unlink()
    (place / "scans/images/5.png").write_bytes(b"broken")
    Image.fromarray(np.where(disc(*SIZE) > 0, 2, 1).astype(np.uint8)).save(place / "scans/masks/7.png")
    image(place / "scans/previews/1.png", 1)
    text = described("scans", monkeypatch, capsys)
    doubts = "".join(line for line in text.splitlines(keepends=True) if line.startswith("# "))
    for said in (
        "1 images have no mask by this layout",
        "images/3.png: an image without its mask masks/3",
        "5.png: cannot be read as a picture",
        "Left aside: the folders previews",
        "left aside, the first of them",
        "`terms`",
    ):
        assert said in doubts
    assert yaml.safe_load(text)["scans"]["sources"] == [{"kind": "local", "path": "../scans"}]


def test_a_name_that_the_catalogue_has_is_not_taken(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two_folders(place / "BUSI")
    two_folders(place / "2024 scans (new)")
    assert [*yaml.safe_load(described("BUSI", monkeypatch, capsys))] == ["busi_own"]
    assert [*yaml.safe_load(described("2024 scans (new)", monkeypatch, capsys))] == ["own_2024_scans_new"]
