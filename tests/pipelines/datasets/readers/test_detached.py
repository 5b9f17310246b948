"""Headers that point to another file: its bytes belong to the image, and it lies where the header does."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipelines.audit.audit import audit_dataset
from pipelines.audit.summary import summarise
from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import Params
from pipelines.datasets.readers.volume_files import files_of, read_header, stored_checksum
from pipelines.datasets.readers.volumes import load_volume
from pipelines.filter.prepare import prepare
from tests.support.audited import audit_and_split, place_manifest
from tests.support.layouts import LESIONS, make_entry
from tests.support.pictures import texture
from tests.support.volumes import metaimage, nrrd

LABELS = ("a", "b")
RAMP = np.arange(1, 25, dtype=np.int16).reshape(2, 3, 4)


def _pair(path: Path) -> Path:
    nib.Nifti1Pair(RAMP.T, np.eye(4)).to_filename(path)
    return path


HEADERS = {
    "v.mhd": (lambda path: metaimage(path, RAMP), ".raw"),
    "v.nhdr": (lambda path: nrrd(path, RAMP), ".raw"),
    "v.hdr": (_pair, ".img"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_checksum_covers_what_a_header_points_to(tmp_path: Path, name: str) -> None:
    write, suffix = HEADERS[name]
    path = write(tmp_path / name)
    data = path.with_suffix(suffix)
    assert files_of(path) == (path, data)
    before, image = stored_checksum(path), load_volume([path], "same", None)
    changed = bytearray(data.read_bytes())
    changed[-2] ^= 255
    data.write_bytes(changed)
    assert stored_checksum(path) != before
    assert not np.array_equal(load_volume([path], "same", None), image)  # nor is an old one kept in memory
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (path, data):
        shutil.copy(file, copy)
    assert stored_checksum(copy / name) == stored_checksum(path)
    data.unlink()
    for read in (stored_checksum, lambda header: load_volume([header], "same", None)):
        with pytest.raises(StageError, match=rf"v{suffix}: no such file"):
            read(path)


def test_a_file_that_holds_all_is_its_own_checksum(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "v.mha", RAMP)
    assert (files_of(path), stored_checksum(path)) == ((path,), file_checksum(path))


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret.raw", "sub/../../secret.raw", "..", "."])
@pytest.mark.parametrize("suffix", [".mhd", ".mha", ".nhdr"])
def test_a_header_does_not_point_outside_its_folder(tmp_path: Path, suffix: str, target: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(RAMP.tobytes())
    path = folder / f"v{suffix}"
    if suffix == ".nhdr":
        nrrd(path, RAMP, data_file=target)
    else:
        metaimage(path, RAMP, ElementDataFile=target)
    with pytest.raises(StageError, match=r"points to .*, outside its folder"):
        read_header(path)


@pytest.mark.parametrize("target", ["LIST", "slice%03d.raw 1 2 1"])
def test_several_files_are_refused(tmp_path: Path, target: str) -> None:
    for path in (
        metaimage(tmp_path / "v.mhd", RAMP, ElementDataFile=target),
        nrrd(tmp_path / "v.nhdr", RAMP, data_file=target),
    ):
        with pytest.raises(StageError, match=r"expected one file with all voxels. Found"):
            read_header(path)


def scans(root: Path) -> tuple[DatasetEntry, Path]:
    """Four volumes of each label, whose headers are those of the other label, byte for byte."""
    entry = make_entry("image_mask_folders", LABELS, LESIONS, channels=1, volume={"cut": "slices", "keep": "all"})
    raw = root / "raw" / entry.name
    lesion = np.zeros((2, 24, 20), np.uint8)
    lesion[:, 4:9, 4:9] = 1
    for number in range(8):
        name = f"{LABELS[number % 2]}/{number // 2}.mhd"
        voxels = np.stack([texture(10 * number + depth, 24, 20) for depth in range(2)]).astype(np.int16)
        metaimage(raw / "images" / name, voxels)
        metaimage(raw / "masks" / name, lesion)
    place_manifest(root, entry)
    return entry, raw


def test_equal_headers_are_no_equal_images(tmp_path: Path) -> None:
    entry, raw = scans(tmp_path)
    assert len({path.read_bytes() for path in (raw / "images").rglob("*.mhd")}) == 4
    assert summarise(audit_dataset(entry, tmp_path, 0.95)).same_file == []
    shutil.copy(raw / "images/a/0.raw", raw / "images/b/0.raw")
    assert len(summarise(audit_dataset(entry, tmp_path, 0.95)).same_file) == 2  # each slice with its copy


def test_voxels_that_changed_under_their_header_are_noticed(tmp_path: Path) -> None:
    entry, raw = scans(tmp_path)
    audit_and_split(tmp_path, entry)
    first = prepare(entry, tmp_path, 16, Params(study="quickstart"))
    data = raw / "images/a/0.raw"
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(StageError, match=r"a/0\.mhd has changed since the split was made"):
        prepare(entry, tmp_path, 16, Params(study="quickstart"))
    audit_and_split(tmp_path, entry)
    assert prepare(entry, tmp_path, 16, Params(study="quickstart")).checksum != first.checksum
