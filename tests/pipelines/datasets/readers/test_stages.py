"""Volumes and patches through audit, split and filter: arrays of the right shape, and nobody in two splits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.artifacts import arrays
from pipelines.core.console import StageError
from pipelines.core.images import resize_image, resize_mask
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import FilterParams, Params
from pipelines.datasets.readers.case import Case
from pipelines.filter.prepare import prepare
from tests.support.audited import audit_and_split, place_manifest
from tests.support.layouts import LESIONS, build, make_entry, picture, volume
from tests.support.pictures import texture

PARAMS = Params(study="quickstart")


def brats(root: Path, **cut: Any) -> DatasetEntry:
    """Four patients of each grade, whose heads look different."""
    raw = root / "raw" / "brats2018"
    for number in range(8):
        case = f"Brats18_{number}_1"
        folder = raw / ("HGG", "LGG")[number % 2] / case
        for channel, kind in enumerate(("flair", "t1", "t1ce", "t2")):
            pictures = [texture(100 * number + 10 * depth + channel, 24, 20) for depth in range(4)]
            volume(folder / f"{case}_{kind}.nii.gz", np.stack(pictures).astype(np.int16))
        tumour = np.zeros((4, 24, 20), np.uint8)
        tumour[1:3, 5:15, 4:12] = 4
        volume(folder / f"{case}_seg.nii.gz", tumour)
    entry = make_entry("brats2018", ["HGG", "LGG"], LESIONS, channels=4, volume=cut)
    place_manifest(root, entry)
    return entry


def test_slices_are_pictures_of_four_channels(tmp_path: Path) -> None:
    entry = brats(tmp_path, cut="slices")
    split = audit_and_split(tmp_path, entry).table
    meta = prepare(entry, tmp_path, 16, PARAMS)
    data = arrays.load(tmp_path, entry.name, 16)
    assert (meta.spatial, meta.channels) == ((16, 16), 4)
    assert data.images.shape == data.filtered.shape == (16, 4, 16, 16)
    assert data.targets.shape == (16, 16, 16)
    case = Case.named(split.loc[5, "image"], split.loc[5, "masks"])
    raw = tmp_path / "raw" / entry.name
    image = resize_image(case_image(entry, raw, case), 16)
    np.testing.assert_array_equal(data.images[5], np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(data.targets[5], resize_mask(case_mask(entry, raw, case), 16))
    for channel in range(4):  # each modality by itself: they are no colours
        expected = bilateral(np.ascontiguousarray(image[..., channel]), FilterParams())
        np.testing.assert_array_equal(data.filtered[5, channel], expected)


def test_patches_keep_their_size_and_are_filtered_slice_by_slice(tmp_path: Path) -> None:
    entry = brats(tmp_path, cut="patches", size=[3, 12, 12])
    audit_and_split(tmp_path, entry)
    meta = prepare(entry, tmp_path, 12, PARAMS)
    data = arrays.load(tmp_path, entry.name, 12)
    count = len(data.cases)
    assert (meta.spatial, meta.channels) == ((3, 12, 12), 4)
    assert data.images.shape == data.filtered.shape == (count, 4, 3, 12, 12)
    assert data.targets.shape == (count, 3, 12, 12)
    assert data.targets.reshape(count, -1).any(axis=1).all()
    np.testing.assert_array_equal(data.filtered[1, 2, 0], bilateral(np.array(data.images[1, 2, 0]), FilterParams()))


def test_other_channels_than_the_entry_says_are_named(tmp_path: Path) -> None:
    entry = brats(tmp_path, cut="slices").model_copy(update={"channels": 3})
    audit_and_split(tmp_path, entry)
    with pytest.raises(StageError, match=r"flair\.nii\.gz: expected .* 1 or 3 channels. Found 4. Correct `channels`"):
        prepare(entry, tmp_path, 16, PARAMS)


@pytest.mark.parametrize("cut", [{"cut": "slices"}, {"cut": "patches", "size": [2, 12, 12]}])
def test_nobody_is_in_two_splits(tmp_path: Path, cut: dict[str, Any]) -> None:
    entry = brats(tmp_path, **cut)
    table = audit_and_split(tmp_path, entry).table
    patients = table["image"].str.split("/").str[1]
    assert table.groupby(patients)["split"].nunique().max() == 1
    assert table.groupby(patients)["fold"].nunique().max() == 1


def test_patches_of_one_picture_share_a_split(tmp_path: Path) -> None:
    entry = build("crack_forest_patches", tmp_path / "raw" / "crack_forest_patches")
    folder = tmp_path / "raw" / "crack_forest_patches" / "CrackForest-dataset-master"
    for number in range(200, 206):
        shutil.copyfile(folder / "groundTruth/001.mat", folder / f"groundTruth/{number}.mat")
        picture(folder / f"image/{number}.jpg", size=(240, 160), seed=number)
    table = audit_and_split(tmp_path, entry).table
    assert table.groupby(table["image"].str.split("[").str[0])["split"].nunique().max() == 1


def test_parts_are_named_as_read(tmp_path: Path) -> None:
    entry = brats(tmp_path, cut="slices")
    names = [case.name for case in read_cases(entry, tmp_path / "raw" / entry.name)]
    assert names == audit_and_split(tmp_path, entry).table["image"].tolist()
    start = "HGG/Brats18_0_1/Brats18_0_1"
    assert names[0] == ";".join(f"{start}_{kind}.nii.gz" for kind in ("flair", "t1", "t1ce", "t2")) + "[0001]"
