"""Which files of volumes are read, as what, and what is said of the others. SimpleITK is the oracle where it agrees."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipelines.core.console import StageError
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.params import FilterParams
from pipelines.datasets.preparation import Row, convert
from pipelines.datasets.readers.blocks import read_voxels
from pipelines.datasets.readers.folders import VOLUMES
from pipelines.datasets.readers.volume_files import read_header, stored_checksum
from pipelines.datasets.readers.volumes import load_volume, load_volume_mask
from pipelines.describe.proposal import propose
from tests.support.layouts import LESIONS, make_entry, picture, volume
from tests.support.volumes import metaimage, nifti, nrrd

RAS = np.eye(4)
RAMP = np.arange(1, 25, dtype=np.int16).reshape(2, 3, 4)
DTYPES = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64)


def values(path: Path) -> np.ndarray:
    return read_voxels(read_header(path))


@pytest.mark.parametrize("suffix", [ending for ending in VOLUMES if ending != ".hdr"])
@pytest.mark.parametrize("compressed", [False, True])
def test_every_format_and_type_is_read_as_simpleitk_reads_it(tmp_path: Path, suffix: str, compressed: bool) -> None:
    rng = np.random.default_rng(0)
    for dtype, channels in itertools.product(DTYPES, (1, 3)):
        shape = (2, 3, 4, channels) if channels > 1 else (2, 3, 4)
        image = sitk.GetImageFromArray((rng.random(shape) * 100).astype(dtype), isVector=channels > 1)
        image.SetSpacing((0.5, 1.5, 2.5))
        image.SetOrigin((-7, 8, 9))
        image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
        path = tmp_path / f"{np.dtype(dtype)}{channels}{suffix}"
        sitk.WriteImage(image, str(path), compressed)
        expected, header = sitk.ReadImage(str(path)), read_header(path)
        array = sitk.GetArrayFromImage(expected).astype(np.float32).reshape(2, 3, 4, channels)
        np.testing.assert_array_equal(read_voxels(header), array)
        np.testing.assert_allclose(header.grid.origin, expected.GetOrigin(), atol=1e-5)
        np.testing.assert_allclose(header.grid.spacing, expected.GetSpacing(), atol=1e-5)
        np.testing.assert_allclose(header.grid.directions.ravel(), expected.GetDirection(), atol=1e-5)


@pytest.mark.parametrize(
    "lines",
    [
        {"TransformMatrix": "0 1 0 0 0 1 1 0 0", "ElementSpacing": "1 2 3", "Offset": "7 8 9"},
        {"ElementSize": "1 2 3", "Position": "1 1 1"},
        {"ElementSpacing": "1 -2 3"},
        {"ElementByteOrderMSB": "True"},
        {"BinaryDataByteOrderMSB": "True"},
        {"HeaderSize": "-1"},
        {"ElementNumberOfChannels": "2", "DimSize": "2 3 2"},
        {"ElementType": "MET_SHORT_ARRAY", "ElementNumberOfChannels": "2", "DimSize": "2 3 2"},
        {"NDims": "2", "DimSize": "4 6", "Offset": "1 2", "ElementSpacing": "2 3"},
    ],
    ids=str,
)
def test_headers_of_metaimage_mean_what_itk_takes_them_for(tmp_path: Path, lines: dict[str, str]) -> None:
    _as_itk(metaimage(tmp_path / "v.mha", RAMP, **lines))
    _as_itk(metaimage(tmp_path / "w.mhd", RAMP, **lines))


@pytest.mark.parametrize("space", ["LPS", "right-anterior-superior", "LAS"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_headers_of_nrrd_mean_what_itk_takes_them_for(tmp_path: Path, space: str, suffix: str) -> None:
    directions = {"space_directions": "(0,1,0) (0,0,2) (3,0,0)", "space_origin": "(7,8,9)"}
    _as_itk(nrrd(tmp_path / f"v{suffix}", RAMP, space=space, **directions))
    _as_itk(nrrd(tmp_path / f"w{suffix}", RAMP, spacings="1 2 3"))
    _as_itk(nrrd(tmp_path / f"x{suffix}", RAMP, endian="big"))
    lists = {"kinds": "domain domain domain list", "space": "LPS", "space_directions": "(1,0,0) (0,1,0) (0,0,1) none"}
    _as_itk(nrrd(tmp_path / f"y{suffix}", np.stack([RAMP, RAMP + 1]), **lists))


def _as_itk(path: Path) -> None:
    expected, header = sitk.ReadImage(str(path)), read_header(path)
    axes = expected.GetDimension()
    array = sitk.GetArrayFromImage(expected).astype(np.float32)
    np.testing.assert_array_equal(read_voxels(header).ravel(), array.ravel())
    np.testing.assert_allclose(header.grid.origin[:axes], expected.GetOrigin())
    np.testing.assert_allclose(header.grid.spacing[:axes], expected.GetSpacing())
    np.testing.assert_allclose(header.grid.directions[:axes, :axes].ravel(), expected.GetDirection())


def test_gzip_is_seen_in_the_file_and_not_in_its_name(tmp_path: Path) -> None:
    plain = nifti(tmp_path / "plain.nii", RAMP, RAS)
    packed = tmp_path / "packed.nii"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    unpacked = tmp_path / "unpacked.nii.gz"
    unpacked.write_bytes(plain.read_bytes())
    in_two = tmp_path / "members.nii.gz"
    in_two.write_bytes(gzip.compress(plain.read_bytes()[:370]) + gzip.compress(plain.read_bytes()[370:]))
    for path in (packed, unpacked, in_two):
        np.testing.assert_array_equal(values(path), values(plain))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_of_nifti_in_either_byte_order(tmp_path: Path, version: int, order: str) -> None:
    kind = {1: nib.Nifti1Image, 2: nib.Nifti2Image}[version]
    header = {1: nib.Nifti1Header, 2: nib.Nifti2Header}[version](endianness=order)
    kind(RAMP.T, RAS, header).to_filename(tmp_path / "v.nii")
    np.testing.assert_array_equal(values(tmp_path / "v.nii")[..., 0], RAMP)


@pytest.mark.parametrize("suffix", [".img", ".img.gz"])
def test_a_nifti_header_beside_its_voxels(tmp_path: Path, suffix: str) -> None:
    nib.Nifti1Pair(RAMP.T, RAS).to_filename(tmp_path / "v.hdr")
    if suffix == ".img.gz":
        voxels = tmp_path / "v.img"
        (tmp_path / "v.img.gz").write_bytes(gzip.compress(voxels.read_bytes()))
        voxels.unlink()
    np.testing.assert_array_equal(values(tmp_path / "v.hdr")[..., 0], RAMP)


def test_analyze_does_not_say_where_left_is(tmp_path: Path) -> None:
    nib.AnalyzeImage(RAMP.T, RAS).to_filename(tmp_path / "v.img")
    with pytest.raises(StageError, match=r"v.hdr: .*Analyze 7.5, which does not say where the patient's left is"):
        read_header(tmp_path / "v.hdr")


def test_intensities_scaled_by_the_header(tmp_path: Path) -> None:
    path = nifti(tmp_path / "v.nii", RAMP, RAS, scl_slope=0.5, scl_inter=-3)
    np.testing.assert_array_equal(values(path)[..., 0], RAMP * 0.5 - 3)


def test_four_axes_of_a_decathlon_are_channels(tmp_path: Path) -> None:
    """They were read as one luminance four times, or not at all."""
    modalities = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1], RAMP[..., ::-1]])
    path = nifti(tmp_path / "images/v.nii.gz", modalities, RAS)
    loaded = load_volume([path], "same", None)
    assert loaded.shape == (2, 3, 4, 4)
    single = [nifti(tmp_path / f"{number}.nii", one, RAS) for number, one in enumerate(modalities)]
    np.testing.assert_array_equal(loaded, load_volume(single, "same", None))
    labels = np.ones((1, 2, 3, 4), np.uint8)  # an axis of length 1 is none
    nifti(tmp_path / "masks/v.nii.gz", labels, RAS)
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=4, volume={"cut": "slices"})
    cases = read_cases(entry, tmp_path)
    assert case_image(entry, tmp_path, cases[0]).shape == (3, 4, 4)
    assert case_mask(entry, tmp_path, cases[0]).all()


@pytest.mark.parametrize("said", [1, 3])
def test_modalities_are_not_mixed_into_one_grey(tmp_path: Path, said: int) -> None:
    nifti(tmp_path / "images/v.nii", np.stack([RAMP, RAMP]), RAS)
    nifti(tmp_path / "masks/v.nii", np.ones((2, 3, 4), np.uint8), RAS)
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=said, volume={"cut": "slices"})
    case = read_cases(entry, tmp_path)[0]
    row = Row(0, case.name, case.masks[0].as_posix(), case.label, stored_checksum(tmp_path / case.image))
    with pytest.raises(StageError, match=r"v.nii: expected a volume of 1 .*channel.* Found 2. Correct `channels`"):
        convert(entry, tmp_path, row, 8, FilterParams())


def test_components_of_a_vector_and_colours_are_channels(tmp_path: Path) -> None:
    vectors = np.stack([RAMP, RAMP + 1, RAMP + 2])
    in_five_axes = nifti(tmp_path / "v.nii", vectors[:, None], RAS, intent_code=1007)
    np.testing.assert_array_equal(values(in_five_axes), np.moveaxis(vectors, 0, -1))
    colours = np.moveaxis(vectors, 0, -1).astype(np.uint8)
    packed = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nib.Nifti1Image(packed.T, RAS).to_filename(tmp_path / "rgb.nii")
    np.testing.assert_array_equal(values(tmp_path / "rgb.nii"), colours)


def test_a_mask_has_one_value_for_each_voxel(tmp_path: Path) -> None:
    image = nifti(tmp_path / "i.nii", RAMP, RAS)
    mask = nifti(tmp_path / "m.nii", np.ones((2, 2, 3, 4), np.uint8), RAS)
    with pytest.raises(StageError, match=r"m\.nii: a mask with 2 values for each voxel"):
        load_volume_mask([mask], image, None)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    """They were all 0."""
    for dtype in (np.complex64, np.complex128):
        path = nifti(tmp_path / "v.nii", RAMP.astype(dtype), RAS)
        with pytest.raises(StageError, match=r"v.nii: its voxels are complex numbers. Expected real ones"):
            load_volume([path], "same", None)
    path = nrrd(tmp_path / "v.nrrd", np.stack([RAMP] * 2, axis=-1), kinds="complex domain domain domain")
    with pytest.raises(StageError, match="kind complex"):
        load_volume([path], "same", None)


def test_pictures_stored_as_nifti_are_volumes_of_one_slice(tmp_path: Path) -> None:
    """As those of CAMUS are: two axes, and sizes in pixdim."""
    frame = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    lesion = (frame == 7).astype(np.uint8)
    for folder, pixels in (("images", frame), ("masks", lesion)):
        path = tmp_path / folder / "patient0001_2CH_ED.nii.gz"
        path.parent.mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=1, volume={"cut": "slices"})
    (case,) = read_cases(entry, tmp_path)
    assert case_image(entry, tmp_path, case)[..., 0].argmax() == 11
    assert np.argwhere(case_mask(entry, tmp_path, case)).tolist() == [[1, 2]]


def test_two_axes_of_channels_are_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "v.nii", np.ones((2, 2, 2, 3, 4), np.int16), RAS)
    with pytest.raises(StageError, match=r"expected 3 axes, and one of channels at most. Found \[4, 3, 2, 2, 2\]"):
        read_header(path)


def _png(path: Path) -> Path:
    return picture(path.with_suffix(".png")).rename(path)


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "write", "found"),
    [
        ("v.nii", _png, "no NIfTI header; it begins as a file of PNG does"),
        ("v.mha", lambda path: _bytes(path, bytes(128) + b"DICM" + bytes(400)), "no MetaImage header; .*of DICOM"),
        ("v.nrrd", lambda path: volume(path.with_name("x.mha"), RAMP).rename(path), "no NRRD header; .*of MetaImage"),
        (
            "v.nii.gz",
            lambda path: (path.write_text("version https://git-lfs.example"), path)[1],
            "no NIfTI header; .*of Git LFS",
        ),
        ("v.nii", lambda path: (path.write_bytes(b""), path)[1], "no NIfTI header"),
    ],
)
def test_what_a_file_is_instead_is_said(tmp_path: Path, name: str, write: Callable[[Path], Path], found: str) -> None:
    path = write(tmp_path / name)
    with pytest.raises(StageError, match=rf"cannot be read as a volume \({found}.*Read are NIfTI") as caught:
        read_header(path)
    assert "emove" not in str(caught.value)
    assert "etch" not in str(caught.value)


def test_a_decathlon_is_read_as_it_comes(tmp_path: Path) -> None:
    """Four modalities in one file; hidden copies of macOS's tar among them."""
    for number in range(2):
        name = f"BRATS_{number:03d}.nii.gz"
        nifti(tmp_path / "Task01_BrainTumour/imagesTr" / name, np.stack([RAMP + number] * 4), RAS)
        nifti(tmp_path / "Task01_BrainTumour/labelsTr" / name, np.full((2, 3, 4), 2, np.uint8), RAS)
        for folder in ("imagesTr", "labelsTr"):
            (tmp_path / "Task01_BrainTumour" / folder / f"._{name}").write_bytes(b"\0\5\x16\7")
    entry = make_entry("image_mask_folders", ["glioma"], LESIONS, channels=4, volume={"cut": "slices"})
    cases = read_cases(entry, tmp_path)
    assert len(cases) == 4
    assert case_image(entry, tmp_path, cases[0]).shape == (3, 4, 4)
    proposed = propose(tmp_path, tmp_path, tmp_path / "data")
    assert "channels: 4" in proposed


def test_a_dicom_series_is_to_be_converted(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / "images/patient1" / f"IM{number:04d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        _bytes(path, bytes(128) + b"DICM" + bytes(99))
    (tmp_path / "masks").mkdir()
    entry = make_entry("image_mask_folders", ["lesion"], LESIONS, channels=1, volume={"cut": "slices"})
    for read in (lambda: read_cases(entry, tmp_path), lambda: propose(tmp_path, tmp_path, tmp_path)):
        with pytest.raises(StageError, match=r"DICOM is not read: convert each series to NIfTI, .*dcm2niix") as caught:
            read()
        assert "emove" not in str(caught.value)
