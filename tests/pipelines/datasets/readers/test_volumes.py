"""Volumes: orientation, grids, intensities and patches, by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipelines.core.console import StageError
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.readers.parts import Patches
from pipelines.datasets.readers.volumes import load_volume, load_volume_mask, volume_size
from tests.support.layouts import LESIONS, build, make_entry, volume

FORMATS = ("nii", "nii.gz", "mha")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_voxels(tmp_path: Path, suffix: str) -> None:
    voxels = np.zeros((2, 3, 4), np.int16)
    voxels[1, 2, 3], voxels[0, 0, 0] = 200, 100
    path = volume(tmp_path / f"v.{suffix}", voxels)
    assert volume_size(path) == (2, 3, 4)
    loaded = load_volume([path], "same", None)
    assert (loaded.shape, loaded.dtype) == ((2, 3, 4, 1), np.uint8)
    assert (loaded[1, 2, 3, 0], loaded.astype(int).sum()) == (255, 255)  # 100 is the least of what is not 0


def test_percentiles_of_what_is_not_zero_become_0_and_255(tmp_path: Path) -> None:
    voxels = np.zeros((1, 1, 1500), np.float32)
    voxels[0, 0, :1001] = 1000 + np.arange(1001)  # 0.5 % is 1005, 99.5 % is 1995
    loaded = load_volume([volume(tmp_path / "v.mha", voxels)], "same", None)[0, 0, :, 0]
    assert loaded[[0, 5, 500, 995, 1000]].tolist() == [0, 0, 128, 255, 255]
    assert not loaded[1001:].any()


@pytest.mark.parametrize("value", [0, 7])
def test_a_volume_without_contrast_is_as_flat_as_before(tmp_path: Path, value: int) -> None:
    loaded = load_volume([volume(tmp_path / "v.mha", np.full((2, 2, 2), value, np.int16))], "same", None)
    assert np.unique(loaded).tolist() == [255 if value else 0]


def test_voxels_that_are_no_number_are_background(tmp_path: Path) -> None:
    voxels = np.array([[[np.nan, np.inf, 1, 2]]], np.float32)
    assert load_volume([volume(tmp_path / "v.mha", voxels)], "same", None)[0, 0, :, 0].tolist() == [0, 0, 0, 255]


def test_the_body_is_upright_whatever_the_order_in_the_file(tmp_path: Path) -> None:
    voxels = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4)
    straight = load_volume([volume(tmp_path / "lps.nii.gz", voxels)], "same", None)
    for axes in ("RAI", "LAI", "SRP"):
        turned = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "lps.nii.gz")), axes)
        sitk.WriteImage(turned, str(tmp_path / f"{axes}.nii.gz"))
        np.testing.assert_array_equal(load_volume([tmp_path / f"{axes}.nii.gz"], "same", None), straight)


def test_modalities_are_channels_and_are_scaled_one_by_one(tmp_path: Path) -> None:
    entry = build("brats2018", tmp_path)
    image = case_image(entry, tmp_path, read_cases(entry, tmp_path)[0])
    assert image.shape == (6, 8, 4)
    for channel in range(1, 4):  # they differ by a constant
        np.testing.assert_allclose(image[..., channel].astype(int), image[..., 0], atol=1)


def test_any_label_is_tumour_and_slices_without_are_left_out(tmp_path: Path) -> None:
    entry = build("brats2018", tmp_path)
    cases = [case for case in read_cases(entry, tmp_path) if case.label == "HGG"]
    assert [case.part for case in cases] == ["0001", "0002", "0003"]
    assert {case.patient for case in cases} == {"Brats18_2013_2_1"}
    assert np.argwhere(case_mask(entry, tmp_path, cases[0])).tolist() == [[2, 3], [2, 4], [2, 5]]


def test_other_modalities_are_resampled_to_the_first(tmp_path: Path) -> None:
    fine, coarse = np.zeros((2, 8, 8), np.float32), np.zeros((2, 4, 4), np.float32)
    fine[0, 2:4, 2:4] = coarse[0, 1, 1] = 9
    fine[1, 0, 0] = coarse[1, 0, 0] = 1
    first = volume(tmp_path / "fine.mha", fine, (0.5, 0.5, 3))
    second = volume(tmp_path / "coarse.mha", coarse, (1, 1, 3), (0.25, 0.25, 0))
    loaded = load_volume([first, second], "first", None)
    assert loaded.shape == (2, 8, 8, 2)
    # The same square of millimetres, blurred by linear interpolation.
    assert np.argwhere(loaded[0, ..., 1] > 127).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_modalities_of_one_grid_must_have_one_size(tmp_path: Path) -> None:
    entry = build("brats2018", tmp_path)
    odd = tmp_path / "LGG/Brats18_TCIA_9_1/Brats18_TCIA_9_1_t1ce.nii.gz"
    volume(odd, np.ones((5, 6, 9), np.int16))
    with pytest.raises(StageError) as caught:
        read_cases(entry, tmp_path)
    assert str(caught.value).startswith(f"{odd}: the modality has 5 x 6 x 9")


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    entry = build("picai2022", tmp_path)
    mask = tmp_path / read_cases(entry, tmp_path)[0].masks[0]
    volume(mask, np.ones((3, 8, 9), np.uint8))
    with pytest.raises(StageError) as caught:
        read_cases(entry, tmp_path)
    assert str(caught.value).startswith(f"{mask}: the mask has 3 x 8 x 9")


def test_patches_have_the_spacing_and_size_that_are_asked_for(tmp_path: Path) -> None:
    voxels = np.zeros((4, 8, 8), np.float32)
    voxels[2:, 4:, 4:] = 5
    path = volume(tmp_path / "v.mha", voxels, (1, 1, 2))
    cut = Patches(cut="patches", size=(8, 4, 4), spacing=(1, 2, 2))
    image, mask = load_volume([path], "same", cut), load_volume_mask([path], path, cut)
    assert image.shape == (8, 4, 4, 1)  # 8 x 8 x 8 mm
    assert mask[4:, 2:, 2:].all()
    assert mask.sum() == 4 * 2 * 2


def test_brats_as_patches(tmp_path: Path) -> None:
    build("brats2018", tmp_path)
    volume_of = {"cut": "patches", "size": [4, 4, 4], "keep": "all"}
    entry = make_entry("brats2018", ["HGG", "LGG"], LESIONS, channels=4, volume=volume_of)
    cases = read_cases(entry, tmp_path)
    assert len(cases) == 2 * 2 * 2 * 2
    assert all(case_image(entry, tmp_path, case).shape == (4, 4, 4, 4) for case in cases)
    assert all(case_mask(entry, tmp_path, case).shape == (4, 4, 4) for case in cases)


def test_volumes_of_ones_own(tmp_path: Path) -> None:
    lesion = np.zeros((3, 4, 5), np.uint8)
    lesion[1] = 1
    for name in ("a.b", "c"):
        volume(tmp_path / "images" / f"{name}.nii.gz", np.ones((3, 4, 5), np.int16))
        volume(tmp_path / "masks" / f"{name}_mask.mha", lesion)
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=1, volume={"cut": "slices"})
    cases = read_cases(entry, tmp_path)
    assert [case.name for case in cases] == ["images/a.b.nii.gz[0001]", "images/c.nii.gz[0001]"]
    assert case_image(entry, tmp_path, cases[0]).shape == (4, 5, 1)
    assert case_mask(entry, tmp_path, cases[0]).all()


def test_an_entry_must_say_how_volumes_are_cut(tmp_path: Path) -> None:
    build("brats2018", tmp_path)
    with pytest.raises(StageError, match=r"flair\.nii\.gz is a volume. Say how to cut it .*`volume: \{cut: slices\}`"):
        read_cases(make_entry("brats2018", ["HGG", "LGG"], LESIONS, channels=4), tmp_path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.98])
def test_a_volume_cut_short_is_never_taken_for_zeros(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(1, 1000, (8, 16, 16)).astype(np.int16)
    path = volume(tmp_path / f"v.{suffix}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(StageError) as caught:
        load_volume([path], "same", None)
    assert str(caught.value).startswith(f"{path}: cannot be read as a volume (")


def test_a_whole_archive_of_half_a_volume_is_named(tmp_path: Path) -> None:
    path = volume(tmp_path / "v.nii.gz", np.ones((8, 8, 8), np.int16))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:800]))
    with pytest.raises(StageError, match=r"cannot be read as a volume \(800 bytes of 1,376\)"):
        load_volume([path], "same", None)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = volume(tmp_path / "v.mha", np.zeros((2, 2, 2), np.int16))
    assert not load_volume([path], "same", None).any()
    volume(path, np.arange(27, dtype=np.int16).reshape(3, 3, 3))
    assert load_volume([path], "same", None).shape == (3, 3, 3, 1)
