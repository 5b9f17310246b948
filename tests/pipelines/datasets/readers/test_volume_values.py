"""What voxels' values mean: labels of masks, background and padding of images, and headers that scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.artifacts import arrays
from pipelines.audit.audit import audit_dataset
from pipelines.audit.page import findings
from pipelines.audit.summary import summarise
from pipelines.core.console import StageError
from pipelines.datasets.cases import case_mask
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import Params
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.intensities import as_bytes
from pipelines.datasets.readers.meaning import VOID, Meaning
from pipelines.datasets.readers.parts import Patches
from pipelines.datasets.readers.volumes import load_volume, load_volume_mask, volume_padding
from pipelines.filter.prepare import prepare
from tests.support.audited import audit_and_split, place_manifest
from tests.support.layouts import LESIONS, make_entry, volume
from tests.support.pictures import texture
from tests.support.volumes import metaimage, nifti

RAS = np.eye(4)


def mask_of(path: Path, voxels: np.ndarray) -> np.ndarray:
    return load_volume_mask([volume(path, voxels)], volume(path.with_name("i.mha"), np.ones_like(voxels)), None)


def with_one(value: float, others: float = 0, dtype: type = np.float32) -> np.ndarray:
    voxels = np.full((2, 2, 2), others, dtype)
    voxels[0, 1, 0] = value
    return voxels


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_what_is_zero_but_for_rounding_is_background(tmp_path: Path, suffix: str) -> None:
    """All eight voxels were lesion."""
    mask = mask_of(tmp_path / f"m.{suffix}", with_one(1, 1e-6))
    assert np.argwhere(mask).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("label", [0.9999, 4, 255, 1000])
def test_any_whole_number_above_zero_is_a_label(tmp_path: Path, label: float) -> None:
    assert mask_of(tmp_path / "m.mha", with_one(label)).sum() == 1


@pytest.mark.parametrize(
    ("voxels", "found"),
    [
        (with_one(1, -1), "-1 in 7 of 8 voxels"),
        (with_one(-1, 1, np.int16), "-1 in 1 of 8 voxels"),
        (with_one(np.nan), "nan in 1 of 8 voxels"),
        (with_one(np.inf), "inf in 1 of 8 voxels"),
        (with_one(0.3), "0.3 in 1 of 8 voxels"),
        (with_one(0.5), "0.5 in 1 of 8 voxels"),
        (np.array([[[-1, 0], [1, 0]]], np.int16), "-1 in 1 of 4 voxels"),
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", ["nii", "mha"])
def test_what_is_no_label_is_refused_by_name(tmp_path: Path, suffix: str, voxels: np.ndarray, found: str) -> None:
    with pytest.raises(
        StageError, match=rf"m.{suffix}: a mask with {found}, the first at \(0, .*Expected whole numbers"
    ):
        mask_of(tmp_path / f"m.{suffix}", voxels)


def test_a_slope_of_zero_means_that_nothing_is_scaled(tmp_path: Path) -> None:
    """A mask of 18 voxels had all 384, since SimpleITK adds the intercept."""
    voxels = np.zeros((6, 8, 8), np.uint8)
    voxels[2, 2:5, 1:7] = 1
    mask = nifti(tmp_path / "m.nii", voxels, RAS, scl_slope=0, scl_inter=1)
    image = nifti(tmp_path / "i.nii", voxels, RAS, scl_slope=0, scl_inter=-1024)
    assert load_volume_mask([mask], image, None).sum() == 18
    assert load_volume([image], "same", None).astype(bool).sum() == 18  # 0 is still the least, so background


@pytest.mark.parametrize(("slope", "intercept"), [(2, 0), (1, 1), (1 / 255, 0)])
def test_a_mask_whose_header_scales_is_refused(tmp_path: Path, slope: float, intercept: float) -> None:
    image = nifti(tmp_path / "i.nii", with_one(1, dtype=np.uint8), RAS)
    mask = nifti(tmp_path / "m.nii", with_one(1, dtype=np.uint8), RAS, scl_slope=slope, scl_inter=intercept)
    with pytest.raises(StageError, match=r"m.nii: a mask whose header scales .*Save it without scaling"):
        load_volume_mask([mask], image, None)


def test_a_metaimage_that_scales_is_refused(tmp_path: Path) -> None:
    """ITK reads such lines and does nothing about them."""
    lines = {"ElementToIntensityFunctionSlope": "2"}
    with pytest.raises(StageError, match="ElementToIntensityFunctionSlope is 2, which ITK does not apply"):
        load_volume([metaimage(tmp_path / "v.mha", with_one(1), **lines)], "same", None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-1000, -1, 0, 1], [0, 254, 255, 255]),  # CT: 0 was 0 between 254 and 255
        ([0, 1, 2, 3], [0, 0, 128, 255]),  # skull-stripped: 0 is background
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([5, 6, 7, 7], [1, 128, 255, 255]),  # no 0 at all
        ([-3, -2, -1, 0], [0, 85, 170, 255]),  # 0 is the largest
    ],
)
def test_zero_is_background_only_where_it_is_the_least(tmp_path: Path, values: list[int], expected: list[int]) -> None:
    loaded = load_volume([volume(tmp_path / "v.mha", np.array([[values]], np.int16))], "same", None)
    np.testing.assert_allclose(loaded.ravel().astype(int), expected, atol=1)
    np.testing.assert_array_equal(loaded.argsort(axis=2), np.argsort([[values]], axis=2)[..., None])


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("intercept", [0, -1024])
def test_padding_takes_no_part_whatever_the_intercept(tmp_path: Path, padding: float, intercept: float) -> None:
    """SimpleITK makes the intercept of it: the other slices were 126, 201 and 255 for 0, 133 and 255."""
    values = np.stack([np.full((4, 4), value, np.float32) for value in (100, 152, 200, padding)])
    padded = nifti(tmp_path / "v.nii", values, RAS, scl_slope=1, scl_inter=intercept)
    found = load_volume([padded], "same", None)[..., 0]
    np.testing.assert_array_equal(found[:3], as_bytes(values[:3] + intercept))
    assert found[:, 0, 0].tolist() == [0, 133, 255, 0]
    assert volume_padding([padded], "same", None) == 0.25


def test_the_audit_says_how_much_is_padding(tmp_path: Path) -> None:
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=1, volume={"cut": "slices", "keep": "all"})
    raw = tmp_path / "raw" / entry.name
    values = np.random.default_rng(0).random((4, 8, 8)).astype(np.float32)
    volume(raw / "images/whole.nii", values)
    values[3] = np.nan
    volume(raw / "images/padded.nii", values)
    for name in ("whole", "padded"):
        volume(raw / f"masks/{name}.nii", np.ones((4, 8, 8), np.uint8))
    summary = summarise(audit_dataset(entry, tmp_path, 0.95))
    assert summary.padded == {"images/padded.nii": 0.25}
    assert any(text.startswith("1 volume with values that are no number (at most 25.00%") for text in findings(summary))


THREE = ["background", "liver", "tumour"]


def volume_of_labels(root: Path, labels: list[int], **more: object) -> tuple[DatasetEntry, Case]:
    voxels = np.array([[labels]], np.int16)
    volume(root / "images/a.mha", np.arange(1, voxels.size + 1).astype(np.int16).reshape(voxels.shape))
    volume(root / "masks/a.mha", voxels)
    entry = make_entry("image_mask_folders", ["x"], channels=1, volume={"cut": "slices", "keep": "all"}, **more)
    return entry, Case(Path("images/a.mha"), (Path("masks/a.mha"),), "x", part="0000")


def test_values_of_the_catalogue_say_what_labels_mean(tmp_path: Path) -> None:
    meant = {0: "background", 1: "liver", 2: "tumour", -1: "ignore", 255: "ignore"}
    entry, case = volume_of_labels(tmp_path, [0, 1, 2, -1, 255], classes=THREE, values=meant)
    assert case_mask(entry, tmp_path, case).tolist() == [[0, 1, 2, VOID, VOID]]


def test_labels_that_values_lack_are_named(tmp_path: Path) -> None:
    entry, case = volume_of_labels(tmp_path, [0, 1, 2, 4], classes=THREE, values=dict(enumerate(THREE)))
    with pytest.raises(StageError, match=r"a\.mha: expected the `values` of the catalogue, 0, 1, 2. Found 4 in 1"):
        case_mask(entry, tmp_path, case)


def test_three_classes_are_asked_about(tmp_path: Path) -> None:
    """0, 127 and 255 were trained as 0 and 1."""
    entry, case = volume_of_labels(tmp_path, [0, 127, 255], classes=THREE)
    expected = (
        r"a\.mha: a mask of background, liver, tumour was expected. Found 0, 127, 255. .*`values: \{0: background"
    )
    with pytest.raises(StageError, match=expected):
        case_mask(entry, tmp_path, case)


def test_colours_mean_nothing_in_a_volume(tmp_path: Path) -> None:
    colours = {"#000000": "background", "#ff0000": "lesion"}
    entry, case = volume_of_labels(tmp_path, [0, 1], classes=LESIONS, values=colours)
    with pytest.raises(StageError, match=r"a\.mha: `values` of the catalogue are colours. Expected whole numbers"):
        case_mask(entry, tmp_path, case)


def test_the_ignored_stay_so_where_patches_are_resampled(tmp_path: Path) -> None:
    labels = np.zeros((2, 4, 4), np.uint8)
    labels[:, :2], labels[:, 2:] = 1, 255
    mask = volume(tmp_path / "m.mha", labels, (2, 2, 2))
    image = volume(tmp_path / "i.mha", labels + np.uint8(1), (2, 2, 2))
    meaning = Meaning(("background", "lesion"), {"0": "background", "1": "lesion", "255": "ignore"})
    cut = Patches(cut="patches", size=(4, 4, 4), spacing=(1, 1, 1))
    found = load_volume_mask([mask], image, cut, meaning)
    assert found.shape == (4, 8, 8)
    assert (found[:, :4] == 1).all()
    assert (found[:, 4:] == VOID).all()


def test_classes_and_the_ignored_reach_the_arrays(tmp_path: Path) -> None:
    meant = {"0": "background", "1": "liver", "2": "tumour", "9": "ignore"}
    more = {"channels": 1, "classes": THREE, "values": meant}
    entry = make_entry("image_mask_folders", ["a", "b"], volume={"cut": "slices"}, **more)
    labels = np.zeros((2, 24, 20), np.uint8)
    labels[:, 2:8], labels[:, 8:12], labels[:, 12:14] = 1, 2, 9
    for number in range(8):
        name = f"{'ab'[number % 2]}/{number}.nii.gz"
        voxels = np.stack([texture(10 * number + depth, 24, 20) for depth in range(2)]).astype(np.int16)
        volume(tmp_path / "raw" / entry.name / "images" / name, voxels)
        volume(tmp_path / "raw" / entry.name / "masks" / name, labels)
    place_manifest(tmp_path, entry)
    audit_and_split(tmp_path, entry)
    prepare(entry, tmp_path, 24, Params(study="quickstart"))
    targets = arrays.load(tmp_path, entry.name, 24).targets
    assert targets.shape == (16, 24, 24)
    assert np.unique(targets[:, 2:14]).tolist() == [1, 2, VOID]
    np.testing.assert_array_equal(targets[3, 2:14, 0], [1] * 6 + [2] * 4 + [VOID] * 2)
