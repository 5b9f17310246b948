"""What every reader owes, on a tiny data set in its publisher's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.console import StageError
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.readers.case import Case, join_paths
from pipelines.datasets.readers.registry import READERS
from tests.support.layouts import LAYOUTS, build, copied_backwards, text

every_reader = pytest.mark.parametrize("reader", READERS)
segmentation = pytest.mark.parametrize(
    "reader", [name for name, x in LAYOUTS.items() if x.entry.task == "segmentation"]
)


def test_every_reader_has_its_layout() -> None:
    assert LAYOUTS.keys() == READERS.keys()


@every_reader
def test_cases_are_sorted_unique_and_labelled_as_the_entry_says(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path)
    cases = read_cases(entry, tmp_path)
    names = [case.name for case in cases]
    assert len(cases) == LAYOUTS[reader].count
    assert names == sorted(set(names))
    assert {case.label for case in cases} == set(entry.labels)
    assert {case.official_split for case in cases} <= {"train", "val", "test", None}


@every_reader
def test_the_order_of_files_on_disk_does_not_matter(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path / "a")
    assert read_cases(entry, copied_backwards(tmp_path / "a", tmp_path / "b")) == read_cases(entry, tmp_path / "a")


@every_reader
def test_what_systems_leave_behind_is_not_seen(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path)
    cases = read_cases(entry, tmp_path)
    for folder in [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]:
        for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._1.png", "._1_sat.jpg", "._001.mat", "._1_t2w.mha"):
            text(folder / name, "junk")
    for case in cases:
        text(tmp_path / "__MACOSX" / case.image.with_name(f"._{case.image.name}"), "junk")
    assert read_cases(entry, tmp_path) == cases


@every_reader
def test_images_have_their_channels_and_masks_their_size_and_classes(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path)
    for case in read_cases(entry, tmp_path):
        image = case_image(entry, tmp_path, case)
        assert image.dtype == np.uint8
        assert image.ndim == 2 or image.shape[-1] == entry.channels
        if entry.task == "segmentation":
            mask = case_mask(entry, tmp_path, case)
            assert mask.dtype == np.uint8
            assert mask.shape == image.shape[: mask.ndim]
            assert mask.max() < len(entry.classes)
        else:
            assert case.masks == ()


@every_reader
def test_a_name_says_which_pixels_are_meant(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path)
    for case in read_cases(entry, tmp_path):
        again = Case.named(case.name, join_paths(case.masks), case.label)
        assert (again.files, again.masks, again.part) == (case.files, case.masks, case.part)
        np.testing.assert_array_equal(case_image(entry, tmp_path, again), case_image(entry, tmp_path, case))


@every_reader
def test_a_missing_folder_is_named_with_the_command_that_fetches_it(tmp_path: Path, reader: str) -> None:
    with pytest.raises(StageError) as caught:
        read_cases(LAYOUTS[reader].entry, tmp_path / "raw")
    assert f"{tmp_path}/raw: no such folder. Fetch it with `python -m pipelines.fetch" in str(caught.value)


@every_reader
def test_an_empty_folder_is_named(tmp_path: Path, reader: str) -> None:
    with pytest.raises(StageError) as caught:
        read_cases(LAYOUTS[reader].entry, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}")
    assert "Found" in str(caught.value) or "no such file" in str(caught.value), "what is there instead"


@every_reader
@pytest.mark.parametrize("keep", [0, 30])
def test_a_broken_image_is_named(tmp_path: Path, reader: str, keep: int) -> None:
    entry = build(reader, tmp_path)
    broken = tmp_path / read_cases(entry, tmp_path)[0].image
    broken.write_bytes(broken.read_bytes()[:keep])
    with pytest.raises(StageError) as caught:
        case_image(entry, tmp_path, read_cases(entry, tmp_path)[0])
    assert str(caught.value).startswith(f"{broken}: cannot be read as a")
    assert "Replace it" in str(caught.value)


@every_reader
def test_an_image_cut_short_is_named_when_its_pixels_are_read(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path)
    case = read_cases(entry, tmp_path)[0]
    broken = tmp_path / case.image
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(StageError, match="cannot be read as a"):
        case_image(entry, tmp_path, case)


@segmentation
def test_a_missing_or_broken_mask_is_named(tmp_path: Path, reader: str) -> None:
    entry = build(reader, tmp_path)
    case = read_cases(entry, tmp_path)[0]
    mask = tmp_path / case.masks[0]
    mask.write_bytes(b"not a mask")
    with pytest.raises(StageError) as caught:
        read_cases(entry, tmp_path)
    assert str(caught.value).startswith(f"{mask}: ")
    mask.unlink()
    with pytest.raises(StageError) as caught:
        case_mask(entry, tmp_path, case)
    assert str(caught.value).startswith(f"{mask}: no such file")


@pytest.mark.parametrize("name", load_catalogue())
def test_the_catalogues_entry_reads_its_layout(tmp_path: Path, name: str) -> None:
    entry = load_catalogue()[name]
    build(entry.reader, tmp_path)
    cases = read_cases(entry, tmp_path)
    assert {case.label for case in cases} <= set(entry.labels)
    for case in cases:
        image = case_image(entry, tmp_path, case)
        spatial = image.shape[:-1] if image.shape[-1] == entry.channels and image.ndim > 2 else image.shape[:2]
        if entry.task == "segmentation":
            mask = case_mask(entry, tmp_path, case)
            assert mask.shape == spatial
            assert mask.max() < len(entry.classes)
        else:
            assert case.label in entry.classes
