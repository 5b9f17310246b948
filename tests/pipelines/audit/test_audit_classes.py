"""The audit of masks with several classes, void borders, and values that look wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.audit.audit import audit_dataset
from pipelines.audit.page import findings, write_reports
from pipelines.audit.summary import Summary, summarise
from pipelines.datasets.entry import DatasetEntry
from tests.support.pictures import save, texture

ORGANS = ("background", "liver", "tumour")
VALUES = {0: "background", 1: "liver", 2: "tumour", 255: "ignore"}


def entry(**changes: object) -> DatasetEntry:
    values = {"name": "organs", "title": "Organs", "task": "segmentation", "labels": ["scan"], "channels": 1}
    values |= {"classes": list(ORGANS), "values": VALUES, "terms": "-", "sources": [{"kind": "local", "path": "x"}]}
    return DatasetEntry.model_validate({**values, **changes}, strict=False)


def placed(root: Path, masks: Sequence[np.ndarray]) -> Path:
    """Images of 40 x 50 pixels, each with its mask."""
    for number, mask in enumerate(masks):
        save(root / f"raw/organs/images/{number}.png", texture(number, 40, 50))
        save(root / f"raw/organs/masks/{number}.png", mask)
    return root


def summary(root: Path, **changes: object) -> Summary:
    return summarise(audit_dataset(entry(**changes), root, 0.95))


def mask(*parts: tuple[int, slice]) -> np.ndarray:
    """Rows of 50 pixels, of 40, that hold a value."""
    pixels = np.zeros((40, 50), np.uint8)
    for value, rows in parts:
        pixels[rows] = value
    return pixels


def test_shares_are_of_the_pixels_that_count(tmp_path: Path) -> None:
    """30 of 40 rows count; 6 of them are liver and 3 tumour. Of the second, all 40, of which 4 are liver."""
    masks = [mask((1, slice(0, 6)), (2, slice(6, 9)), (255, slice(30, 40))), mask((1, slice(36, 40)))]
    found = summary(placed(tmp_path, masks))
    assert found.classes == pytest.approx({"background": (0.7 + 0.9) / 2, "liver": (0.2 + 0.1) / 2, "tumour": 0.05})
    assert found.ignored == 0.125
    assert (found.void, found.absent, found.problems, found.bright) == ([], [], {}, {})
    assert found.areas["scan"][0] == 0.1
    assert found.areas["scan"][-1] == 9 / 40
    assert found.mask_values == {"0; 1; 2; 255": 1, "0; 1": 1}


def test_masks_of_sixteen_bits_go_all_the_way(tmp_path: Path) -> None:
    root = placed(tmp_path, [mask((1, slice(0, 4)), (2, slice(4, 8)))])
    Image.fromarray(mask((1, slice(0, 4)), (2, slice(4, 8))).astype(np.uint16)).save(root / "raw/organs/masks/0.png")
    found = summary(root)
    assert (found.problems, found.mask_modes, found.mask_values) == ({}, {"I;16": 1}, {"0; 1; 2": 1})
    assert found.classes == pytest.approx({"background": 0.8, "liver": 0.1, "tumour": 0.1})


def test_void_is_no_annotation(tmp_path: Path) -> None:
    found = summary(placed(tmp_path, [mask((255, slice(0, 40))), mask((255, slice(0, 5)), (1, slice(10, 12)))]))
    assert found.void == found.empty == ["images/0.png"]
    assert (found.multi_part, found.at_border) == ([], ["images/1.png"])
    assert "1 mask without a pixel that counts." in findings(found)


def test_a_declared_class_that_never_occurs_is_a_finding(tmp_path: Path) -> None:
    root = placed(tmp_path, [mask((1, slice(5, 9))), mask((1, slice(3, 7)), (255, slice(7, 9)))])
    found = summary(root)
    assert found.absent == ["tumour"]
    assert any(
        text.startswith("No pixel is tumour, which `classes` of the catalogue declare") for text in findings(found)
    )


def test_a_class_of_images_that_never_occurs_is_a_finding(tmp_path: Path) -> None:
    save(tmp_path / "raw/organs/scan/0.png", texture(0))
    found = summary(tmp_path, task="classification", classes=["scan", "phantom"], values=None)
    assert found.absent == ["phantom"]
    assert any(text.startswith("No image is phantom, which") for text in findings(found))


def test_two_valued_masks_that_differ_in_their_values_are_a_finding(tmp_path: Path) -> None:
    """An image with liver alone has 0 and 127, one with tumour alone 0 and 255: each looks like a binary mask."""
    root = placed(tmp_path, [mask((127, slice(3, 8))), mask((127, slice(4, 8))), mask((255, slice(5, 8)))])
    found = summary(root, classes=["background", "lesion"], values=None)
    assert found.bright == {"127": 2, "255": 1}
    assert any("but not all the same (127 in 2, 255 in 1)" in text for text in findings(found))


def test_masks_that_look_inverted_are_a_finding_and_values_turn_them(tmp_path: Path) -> None:
    root = placed(tmp_path, [255 - mask((255, slice(3, 8))), 255 - mask((255, slice(4, 8)))])
    found = summary(root, classes=["background", "lesion"], values=None)
    assert any("2 of 2 masks annotate more than half of their image" in text for text in findings(found))
    turned = summary(root, classes=["background", "lesion"], values={0: "lesion", 255: "background"})
    assert turned.areas["scan"][-1] == 5 / 40
    assert not any("inverted" in text for text in findings(turned))


def test_masks_that_nobody_explained_are_listed_with_the_key_that_does(tmp_path: Path) -> None:
    root = placed(tmp_path, [mask((127, slice(3, 8)), (255, slice(8, 12))), mask((127, slice(4, 8)))])
    found = summary(root, values=None)
    assert list(found.problems) == ["images/0.png", "images/1.png"]
    assert "`values: {0: background, 127: liver, 255: tumour}`" in found.problems["images/0.png"]


def test_the_pages_are_written(tmp_path: Path) -> None:
    root = placed(tmp_path, [mask((1, slice(5, 9)), (255, slice(9, 12))), mask((2, slice(3, 7)))])
    write_reports(audit_dataset(entry(), root, 0.95), tmp_path / "pages")
    assert "Of the pixels that count; 3.75 % do not." in (tmp_path / "pages/organs.md").read_text()
