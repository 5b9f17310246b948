"""Layouts of people's own folders: what a pattern finds, what it pairs, and what is said when it does not."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.core.console import StageError
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.labelled import read_label_folders
from pipelines.datasets.readers.laid_out import read_layout
from pipelines.datasets.readers.layout import Layout
from pipelines.datasets.readers.pairs import read_image_mask_folders


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def shown(cases: list[Case]) -> list[tuple[str, ...]]:
    """Image, masks and modalities of each case, label, patient and side where there are any."""
    return [
        tuple(
            filter(
                None,
                (
                    *(path.as_posix() for path in (*case.files, *case.masks)),
                    case.label,
                    case.patient,
                    case.official_split,
                ),
            )
        )
        for case in cases
    ]


@pytest.mark.parametrize(
    ("image", "mask", "files", "expected"),
    [
        ("images/{name}", "masks/{name}_segmentation", ["images/a.jpg", "masks/a_segmentation.gif"], ("x",)),
        ("{name}", "mask_{name}", ["a.bmp", "mask_a.png"], ("x",)),
        ("{name}", "{name}_mask*", ["a.png", "a_mask.png", "a_mask_1.png"], ("x",)),
        ("{patient}/{name}", "{patient}/{name}-gt", ["p1/a.tif", "p1/a-gt.tif"], ("x", "p1")),
        ("{patient}/image", "{patient}/mask", ["p1/image.png", "p1/mask.png"], ("x", "p1")),
        ("{side}/in/{name}", "{side}/out/{name}", ["Training/in/a.png", "Training/out/a.png"], ("x", "train")),
        ("imagesTr/{name}", "labelsTr/{name}", ["imagesTr/a.nii.gz", "labelsTr/a.nii.gz"], ("x",)),
    ],
)
def test_a_pattern_pairs_images_with_masks(
    tmp_path: Path, image: str, mask: str, files: list[str], expected: tuple[str, ...]
) -> None:
    cases = read_layout(lay(tmp_path, *files), ["x"], Layout.model_validate({"image": image, "mask": mask}))
    assert shown(cases) == [(*files, *expected)]


def test_several_patterns_are_modalities_in_their_order(tmp_path: Path) -> None:
    layout = Layout.model_validate(
        {"image": ["{patient}/{patient}_t1", "{patient}/{patient}_t2"], "mask": "{patient}/s"}
    )
    root = lay(tmp_path, "p1/p1_t1.nii.gz", "p1/p1_t2.nii.gz", "p1/s.nii.gz", "p1/p2_t1.nii.gz")
    assert shown(read_layout(root, ["x"], layout)) == [("p1/p1_t1.nii.gz", "p1/p1_t2.nii.gz", "p1/s.nii.gz", "x", "p1")]
    (root / "p1/p1_t2.nii.gz").unlink()
    with pytest.raises(StageError, match=r"p1_t1\.nii\.gz: an image without its modality p1/p1_t2"):
        read_layout(root, ["x"], layout)


def test_labels_are_folders_and_other_ones_are_left_aside(tmp_path: Path) -> None:
    root = lay(tmp_path, "cat/a.webp", "dog/b.jfif", "cow/c.png")
    found = read_layout(root, ["cat", "dog"], Layout.model_validate({"image": "{label}/{name}"}))
    assert shown(found) == [("cat/a.webp", "cat"), ("dog/b.jfif", "dog")]


@pytest.mark.parametrize("read", ["layout", "folders"])
def test_a_lone_folder_on_top_is_entered_and_what_systems_leave_is_not_seen(tmp_path: Path, read: str) -> None:
    root = lay(tmp_path, "scans/images/a.png", "scans/masks/a.png", "scans/images/@eaDir/a.png", "__MACOSX/a.png")
    lay(root, "README.txt", "scans/images/Thumbs.db", "scans/masks/._a.png")
    layout = Layout.model_validate({"image": "images/{name}", "mask": "masks/{name}"})
    cases = read_layout(root, ["x"], layout) if read == "layout" else read_image_mask_folders(root, ["x"])
    assert shown(cases) == [("scans/images/a.png", "scans/masks/a.png", "x")]


def test_so_it_is_above_folders_of_labels(tmp_path: Path) -> None:
    root = lay(tmp_path, "pets/cat/a.png", "pets/dog/b.png")
    assert [case.image.as_posix() for case in read_label_folders(root, ["cat", "dog"])] == [
        "pets/cat/a.png",
        "pets/dog/b.png",
    ]


@pytest.mark.parametrize("mask", ["{}_segmentation.gif", "mask_{}.png", "{}-seg.bmp", "label-{}.webp", "{}_gt.jfif"])
def test_masks_have_a_word_more_in_their_names(tmp_path: Path, mask: str) -> None:
    root = lay(tmp_path, *(f"images/{name}.jpg" for name in "ab"), *(f"masks/{mask.format(name)}" for name in "ab"))
    assert shown(read_image_mask_folders(root, ["x"])) == [
        (f"images/{name}.jpg", f"masks/{mask.format(name)}", "x") for name in "ab"
    ]


@pytest.mark.parametrize("folders", [("imagesTr", "labelsTr"), ("images", "labels")])
def test_folders_have_other_common_names(tmp_path: Path, folders: tuple[str, str]) -> None:
    root = lay(tmp_path, *(f"{folder}/a.nii.gz" for folder in folders))
    assert shown(read_image_mask_folders(root, ["x"])) == [(*(f"{folder}/a.nii.gz" for folder in folders), "x")]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_an_accent_may_be_spelt_in_two_ways(tmp_path: Path, forms: tuple[str, str]) -> None:
    """macOS writes NFD; the catalogue is typed in NFC."""
    image, mask = (unicodedata.normalize(form, "gutärtig/größe.png") for form in forms)
    root = lay(tmp_path, f"images/{image}", f"masks/{mask}")
    lay(root, "images/b/b.png", "masks/b/b.png")
    layout = Layout.model_validate({"image": "images/{label}/{name}", "mask": "masks/{label}/{name}"})
    for cases in (
        read_layout(root, ["gutärtig", "b"], layout),
        read_image_mask_folders(root, ["gutärtig", "b"]),
    ):
        assert {case.masks for case in cases} == {(Path("masks", mask),), (Path("masks/b/b.png"),)}
        assert {case.label for case in cases} == {"gutärtig", "b"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["other/a.png"], r"no file fits `layout: i/\{name\}`. Found in .*: folders other. Correct the pattern"),
        (
            ["i/a.png", "i/b.png", "m/a.png"],
            r"i/b\.png: an image without its mask m/b. Found in .*/m: files 1 .png. Add or rename",
        ),
        (["i/a.png", "i/b.png", "m/a.png", "m/b_seg.png"], r"i/b\.png: .* The nearest name is b_seg\.png"),
        (["i/a.png", "m/a.png", "m/b.png"], r"m/b\.png: a mask without its image in i/\{name\}"),
        (["i/a.png", "i/a.jpg", "m/a.png"], r"i/a\.png: fits 'i/\{name\}' of `layout`, as a\.jpg does. Move the one"),
        (["i/a.png", "m/a.png", "m/a.gif"], r"m/a\.png: fits 'm/\{name\}' of `layout`, as a\.gif does. Move the one"),
    ],
)
def test_what_does_not_fit_is_named_and_never_to_be_removed(tmp_path: Path, files: list[str], said: str) -> None:
    layout = Layout.model_validate({"image": "i/{name}", "mask": "m/{name}"})
    with pytest.raises(StageError, match=said) as caught:
        read_layout(lay(tmp_path, *files), ["x"], layout)
    assert "emove" not in str(caught.value)
    assert "etch" not in str(caught.value)


def test_labels_need_a_place_in_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"2 `labels`, but no \{label\} in `layout: \{name\}`"):
        read_layout(lay(tmp_path, "a.png"), ["x", "y"], Layout.model_validate({"image": "{name}"}))


def test_a_side_is_train_val_or_test(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"expected train, .* for \{side\} of `layout`. Found 'later'"):
        read_layout(lay(tmp_path, "later/a.png"), ["x"], Layout.model_validate({"image": "{side}/{name}"}))


@pytest.mark.parametrize(
    "layout", [{"image": "{name"}, {"image": "{Name}"}, {"image": "{a}", "mask": "{b}"}, {"image": []}]
)
def test_a_pattern_that_is_none_is_refused(layout: dict) -> None:
    with pytest.raises(ValidationError):
        Layout.model_validate(layout)
