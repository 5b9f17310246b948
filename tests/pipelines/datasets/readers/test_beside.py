"""Readers: BUSI's traps (several masks, four modes, normal cases) and broken pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.core.console import StageError
from pipelines.datasets.cases import read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.images import load_image
from pipelines.datasets.readers.masks import load_mask

BUSI = load_catalogue()["busi"]


def draw(path: Path, mode: str = "L", size: tuple[int, int] = (8, 6), lit: tuple[int, int] | None = None) -> Path:
    """A dark picture of (width, height) with one lit pixel at (row, column)."""
    pixels = np.zeros(size[::-1], np.uint8)
    if lit:
        pixels[lit] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def busi(tmp_path: Path) -> Path:
    """Two benign images, the first with two masks, one malignant and one normal."""
    folder = tmp_path / "Dataset_BUSI_with_GT"
    for name in ("benign/benign (1)", "benign/benign (10)", "malignant/malignant (1)", "normal/normal (1)"):
        draw(folder / f"{name}.png", "RGB")
        draw(folder / f"{name}_mask.png", "1", lit=(1, 1))
    draw(folder / "benign/benign (1)_mask_1.png", "RGBA", lit=(4, 5))
    return tmp_path


def test_busi_is_read_with_all_masks_and_without_normal_cases(busi: Path) -> None:
    folder = Path("Dataset_BUSI_with_GT")
    benign, malignant = folder / "benign", folder / "malignant"
    assert read_cases(BUSI, busi) == [
        Case(benign / "benign (1).png", (benign / "benign (1)_mask.png", benign / "benign (1)_mask_1.png"), "benign"),
        Case(benign / "benign (10).png", (benign / "benign (10)_mask.png",), "benign"),
        Case(malignant / "malignant (1).png", (malignant / "malignant (1)_mask.png",), "malignant"),
    ]


def test_the_entry_decides_which_labels_are_used(busi: Path) -> None:
    entry = DatasetEntry.model_validate({**BUSI.model_dump(), "labels": ["normal"]})
    assert [case.label for case in read_cases(entry, busi)] == ["normal"]


def test_masks_are_united_whatever_their_mode(busi: Path) -> None:
    mask = load_mask([busi / path for path in read_cases(BUSI, busi)[0].masks])
    assert (mask.shape, mask.dtype) == ((6, 8), np.uint8)
    assert np.argwhere(mask).tolist() == [[1, 1], [4, 5]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_gives_the_same_mask(tmp_path: Path, mode: str) -> None:
    assert np.argwhere(load_mask([draw(tmp_path / "m.png", mode, lit=(2, 3))])).tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("mode", "shape"), [("1", (6, 8)), ("L", (6, 8)), ("LA", (6, 8)), ("RGB", (6, 8, 3)), ("RGBA", (6, 8, 3))]
)
def test_images_are_grey_or_colour(tmp_path: Path, mode: str, shape: tuple[int, ...]) -> None:
    image = load_image(draw(tmp_path / "i.png", mode, lit=(2, 3)))
    assert (image.shape, image.dtype, image.max()) == (shape, np.uint8, 255)


def test_an_empty_mask_is_empty(tmp_path: Path) -> None:
    assert not load_mask([draw(tmp_path / "m.png")]).any()


def test_a_mask_of_zero_and_one_is_not_taken_for_empty(tmp_path: Path) -> None:
    Image.fromarray(np.eye(3, dtype=np.uint8)).save(tmp_path / "m.png")
    assert load_mask([tmp_path / "m.png"]).tolist() == np.eye(3).tolist()


def test_masks_of_one_image_have_one_size(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"b\.png: 6 x 9 pixels, but .*a\.png has 6 x 8"):
        load_mask([draw(tmp_path / "a.png"), draw(tmp_path / "b.png", size=(9, 6))])


def test_an_image_without_mask_is_named(busi: Path) -> None:
    (busi / "Dataset_BUSI_with_GT/benign/benign (10)_mask.png").unlink()
    with pytest.raises(
        StageError,
        match=r"benign \(10\)\.png: an image without its mask Dataset_BUSI_with_GT/benign/benign",
    ):
        read_cases(BUSI, busi)


def test_a_mask_without_image_is_named(busi: Path) -> None:
    (busi / "Dataset_BUSI_with_GT/benign/benign (1).png").unlink()
    with pytest.raises(StageError, match=r"benign \(1\)_mask\.png: a mask without its image"):
        read_cases(BUSI, busi)


def test_a_mask_of_another_size_is_named(busi: Path) -> None:
    draw(busi / "Dataset_BUSI_with_GT/benign/benign (1)_mask_1.png", size=(8, 7))
    with pytest.raises(StageError, match=r"benign \(1\)_mask_1\.png: the mask has 7 x 8 pixels .*, its image .* 6 x 8"):
        read_cases(BUSI, busi)


@pytest.mark.parametrize("keep", [0, 4, 20, 45])
def test_a_truncated_picture_is_named(busi: Path, keep: int) -> None:
    path = busi / "Dataset_BUSI_with_GT/malignant/malignant (1).png"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StageError, match=r"malignant \(1\)\.png: cannot be read as a picture .*Replace it"):
        load_image(busi / next(case for case in read_cases(BUSI, busi) if case.label == "malignant").image)


def test_an_unusual_mode_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 3), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(StageError, match=r"deep\.png: pictures of mode 'I;16' are not read. Known: 1, L"):
        load_image(tmp_path / "deep.png")


def test_what_was_not_fetched_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no such folder. Fetch it with `python -m pipelines\.fetch --dataset busi`"):
        read_cases(BUSI, tmp_path / "raw" / "busi")


def test_a_missing_label_is_named(busi: Path) -> None:
    entry = DatasetEntry.model_validate({**BUSI.model_dump(), "labels": ["benign", "cyst"]})
    with pytest.raises(StageError, match=r"cyst: no such folder; images labelled 'cyst' were expected"):
        read_cases(entry, busi)


def test_folders_without_images_are_not_a_data_set(busi: Path) -> None:
    for path in busi.rglob("*.png"):
        path.unlink()
    with pytest.raises(StageError, match="no image of busi in it"):
        read_cases(BUSI, busi)
