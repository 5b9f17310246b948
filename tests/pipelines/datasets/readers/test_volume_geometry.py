"""Where headers say that voxels lie: masks are turned onto their images, what contradicts is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipelines.core.console import StageError
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.readers.grids import UPRIGHT, Grid, grid_of, same_voxels, turn_towards, turned, turned_voxels
from pipelines.datasets.readers.parts import Patches
from pipelines.datasets.readers.volume_files import read_header
from pipelines.datasets.readers.volumes import load_volume, load_volume_mask
from tests.support.layouts import LESIONS, make_entry, volume
from tests.support.volumes import metaimage, nifti, nrrd

PLACES = np.arange(1, 33, dtype=np.uint8).reshape(2, 4, 4)
"""Of which every voxel is another."""


def marked(*places: tuple[int, int, int], shape: tuple[int, int, int] = (2, 4, 4)) -> np.ndarray:
    voxels = np.zeros(shape, np.uint8)
    for place in places:
        voxels[place] = 1
    return voxels


def lit(mask: Path, image: Path) -> list[list[int]]:
    return np.argwhere(load_volume_mask([mask], image, None)).tolist()


@pytest.mark.parametrize("axes", ["RPS", "LAS", "LPI", "RAI", "PLS", "SLP", "IAR"])
def test_a_mask_that_is_stored_in_another_order_of_axes_lies_on_its_image(tmp_path: Path, axes: str) -> None:
    image = volume(tmp_path / "i.mha", PLACES, (1, 2, 3), (5, 6, 7))
    mask = tmp_path / "m.nii.gz"
    one = sitk.GetImageFromArray(marked((0, 1, 3)))
    one.SetSpacing((1, 2, 3))
    one.SetOrigin((5, 6, 7))
    sitk.WriteImage(sitk.DICOMOrient(one, axes), str(mask))
    assert lit(mask, image) == [[0, 1, 3]]


def test_a_mask_reversed_on_x_is_turned_back(tmp_path: Path) -> None:
    """Dice was 0, and all stages passed."""
    image = metaimage(tmp_path / "images/a.mha", PLACES)
    reversed_ = {"TransformMatrix": "-1 0 0 0 1 0 0 0 1", "Offset": "3 0 0"}
    mask = metaimage(tmp_path / "masks/a.mha", marked((0, 0, 3), (0, 1, 3)), **reversed_)
    assert lit(mask, image) == [[0, 0, 0], [0, 1, 0]]
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=1, volume={"cut": "slices"})
    (case,) = read_cases(entry, tmp_path)
    assert np.argwhere(case_mask(entry, tmp_path, case)).tolist() == [[0, 0], [1, 0]]
    assert case_image(entry, tmp_path, case).shape == (4, 4, 1)


def test_a_mask_of_the_transposed_size_is_turned(tmp_path: Path) -> None:
    image = metaimage(tmp_path / "i.mha", PLACES)
    mask = metaimage(tmp_path / "m.mha", marked((2, 1, 0), shape=(4, 4, 2)), TransformMatrix="0 0 1 0 1 0 1 0 0")
    assert lit(mask, image) == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ({"Offset": "500 0 0"}, r"origin \(500, 0, 0\)"),
        ({"Offset": "0.5 0 0"}, r"origin \(0.5, 0, 0\)"),
        ({"ElementSpacing": "2 2 2"}, r"spacing \(2, 2, 2\)"),
        ({"TransformMatrix": "-1 0 0 0 1 0 0 0 1"}, r"direction \(-1, 0, 0"),  # a flip about another place
        ({"TransformMatrix": ".8 .6 0 -.6 .8 0 0 0 1"}, r"direction \(0.8, -0.6, 0"),
    ],
)
def test_other_geometries_are_refused_and_both_are_printed(tmp_path: Path, lines: dict[str, str], found: str) -> None:
    image = metaimage(tmp_path / "i.mha", PLACES)
    mask = metaimage(tmp_path / "m.mha", marked((0, 0, 0)), **lines)
    own = r"has 2 x 4 x 4 voxels .*spacing \(1, 1, 1\), origin \(0, 0, 0\), direction \(1, 0, 0, 0, 1, 0, 0, 0, 1\)"
    with pytest.raises(StageError, match=f"m.mha: the mask has .*{found}.*, its image i.mha {own}.*Resample the mask"):
        load_volume_mask([mask], image, None)


def test_rounding_of_headers_is_no_other_geometry(tmp_path: Path) -> None:
    image = metaimage(tmp_path / "i.mha", PLACES)
    turn = "1 .001 0 -.001 1 0 0 0 1"
    mask = metaimage(tmp_path / "m.mha", marked((1, 2, 3)), Offset=".01 0 -.01", TransformMatrix=turn)
    assert lit(mask, image) == [[1, 2, 3]]


def test_modalities_are_turned_and_refused_as_masks_are(tmp_path: Path) -> None:
    first = metaimage(tmp_path / "1.mha", PLACES)
    reversed_ = {"TransformMatrix": "-1 0 0 0 1 0 0 0 1", "Offset": "3 0 0"}
    second = metaimage(tmp_path / "2.mha", np.ascontiguousarray(PLACES[..., ::-1]), **reversed_)
    channels = load_volume([first, second], "same", None)
    np.testing.assert_array_equal(channels[..., 0], channels[..., 1])
    with pytest.raises(StageError, match="the modality has"):
        load_volume([first, metaimage(tmp_path / "3.mha", PLACES, Offset="0 0 9")], "same", None)


def test_turning_upright_is_what_itk_does() -> None:
    """On directions of every kind, oblique ones too."""
    rng = np.random.default_rng(0)
    values = rng.random((2, 3, 4, 1)).astype(np.float32)
    for _ in range(200):
        directions = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag(rng.choice([-1.0, 1.0], 3))
        spacing, origin = rng.uniform(0.5, 2, 3), rng.normal(size=3)
        grid = grid_of(Path("v"), (4, 3, 2), directions * spacing, origin)
        turn = turn_towards(grid, UPRIGHT)
        image = sitk.GetImageFromArray(values[..., 0])
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(origin.tolist())
        image.SetDirection(directions.ravel().tolist())
        expected, found = sitk.DICOMOrient(image, "LPS"), turned(grid, turn)
        np.testing.assert_array_equal(turned_voxels(values, turn)[..., 0], sitk.GetArrayFromImage(expected))
        np.testing.assert_allclose(found.directions.ravel(), expected.GetDirection(), atol=1e-9)
        np.testing.assert_allclose(found.origin, expected.GetOrigin(), atol=1e-9)
        assert found.size == expected.GetSize()


def test_a_grid_is_the_same_up_to_half_a_voxel_and_not_beyond() -> None:
    def at(origin: float) -> Grid:
        return grid_of(Path("v"), (4, 3, 2), np.diag([2.0, 1, 1]), np.array([origin, 0, 0]))

    here = at(0)
    assert same_voxels(here, at(0.99))
    assert not same_voxels(here, at(1))


RAS, TWO = np.eye(4), np.diag([2.0, 2, 2, 1])


def test_a_voxel_size_that_the_header_states_twice_must_be_one(tmp_path: Path) -> None:
    """Voxels of 2 mm counted as 1 mm, so that patches showed half of what they said."""
    path = nifti(tmp_path / "v.nii", PLACES, TWO, pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    with pytest.raises(StageError, match=r"v.nii: voxels of 2 x 2 x 2 by the sform but of 1 x 1 x 1 by pixdim"):
        load_volume([path], "same", Patches(cut="patches", size=(2, 2, 2), spacing=(1, 1, 1)))


def test_an_sform_that_its_code_declares_void_must_not_contradict(tmp_path: Path) -> None:
    path = nifti(tmp_path / "v.nii", PLACES, TWO, sform_code=0, pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    with pytest.raises(StageError, match=r"2 x 2 x 2 by the sform, which its code declares void, but of 1 x 1 x 1"):
        read_header(path)


def test_without_codes_axes_are_as_stored_and_voxels_of_the_size_of_pixdim(tmp_path: Path) -> None:
    path = nifti(tmp_path / "v.nii", PLACES, pixdim=[1, 2, 3, 4, 0, 0, 0, 0])
    grid = read_header(path).grid
    assert (grid.spacing.tolist(), grid.directions.tolist()) == ([2, 3, 4], np.eye(3).tolist())
    assert load_volume([path], "same", None)[..., 0].argmin() == 0  # not turned


def test_the_sform_counts_before_the_qform_which_must_run_the_same_way(tmp_path: Path) -> None:
    turned_a_little = {"qform_code": 1, "quatern_d": 0.1, "pixdim": [1, 1, 1, 1, 0, 0, 0, 0]}
    grid = read_header(nifti(tmp_path / "v.nii", PLACES, RAS, **turned_a_little)).grid
    assert grid.directions.tolist() == np.diag([-1.0, -1, 1]).tolist()
    upside_down = {"qform_code": 1, "quatern_d": 1, "pixdim": [1, 1, 1, 1, 0, 0, 0, 0]}
    with pytest.raises(StageError, match=r"by its sform .*direction \(-1, .*, by its qform .*direction \(1, "):
        read_header(nifti(tmp_path / "v.nii", PLACES, RAS, **upside_down))


def test_the_qform_counts_alone_and_sizes_of_zero_say_nothing(tmp_path: Path) -> None:
    upside_down = {"qform_code": 1, "quatern_d": 1, "pixdim": [1, 2, 2, 2, 0, 0, 0, 0]}
    grid = read_header(nifti(tmp_path / "q.nii", PLACES, **upside_down)).grid
    np.testing.assert_allclose(grid.steps, TWO[:3, :3], atol=1e-9)
    unset = read_header(nifti(tmp_path / "s.nii", PLACES, TWO, pixdim=[0] * 8)).grid
    assert unset.spacing.tolist() == [2, 2, 2]


@pytest.mark.parametrize("shear", [0.005, 0.0099])
def test_a_little_shear_is_rounding(tmp_path: Path, shear: float) -> None:
    affine = np.eye(4)
    affine[0, 1] = shear
    grid = read_header(nifti(tmp_path / "v.nii", PLACES, affine)).grid
    np.testing.assert_allclose(grid.directions.T @ grid.directions, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(grid.directions, np.diag([-1, -1, 1]), atol=shear)


def test_more_shear_is_refused_in_every_format(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.1
    for path in (
        nifti(tmp_path / "v.nii", PLACES, affine),
        metaimage(tmp_path / "v.mha", PLACES, TransformMatrix="1 0 0 .1 1 0 0 0 1"),
        nrrd(tmp_path / "v.nrrd", PLACES, space="LPS", space_directions="(1,0,0) (.1,1,0) (0,0,1)"),
    ):
        with pytest.raises(StageError, match=r"not at right angles \(cosine 0.0995.*Resample it"):
            read_header(path)


def test_metres_and_microns_are_converted(tmp_path: Path) -> None:
    for unit, size in ((1, 1000.0), (2, 1.0), (3, 0.001), (0, 1.0)):
        assert read_header(nifti(tmp_path / "v.nii", PLACES, RAS, xyzt_units=unit)).grid.spacing[0] == size
