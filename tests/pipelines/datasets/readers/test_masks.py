"""Encodings of masks: by hand, with the values that publishers' files hold."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from pipelines.core.console import StageError
from pipelines.datasets.readers.masks import (
    MaskDecoder,
    colour_table,
    load_mask,
    matlab_label,
    matlab_size,
    probable,
    understood,
)
from pipelines.datasets.readers.matlab import MatlabFile
from tests.support.layouts import matlab


def grey(path: Path, *rows: list[int]) -> Path:
    Image.fromarray(np.array(rows, np.uint8)).save(path)
    return path


def test_a_probability_may_stay_below_one_half_everywhere(tmp_path: Path) -> None:
    path = grey(tmp_path / "m.png", [0, 1, 126, 127])
    assert probable(path).tolist() == [[0, 0, 0, 0]]
    with pytest.raises(StageError, match=r"m\.png: a mask of background \(0\) and foreground \(one other value\)"):
        understood(path)


def test_several_files_are_united_by_the_highest_class(tmp_path: Path) -> None:
    table = colour_table({(0, 0, 0): 0, (0, 0, 255): 1, (255, 0, 0): 2})
    files = []
    for name, colours in (("a", [(0, 0, 0), (0, 0, 255), (255, 0, 0)]), ("b", [(0, 0, 255), (255, 0, 0), (0, 0, 0)])):
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(np.array([colours], np.uint8)).save(files[-1])
    assert load_mask(files, table).tolist() == [[1, 2, 2]]


def test_colours_are_binarised_at_128_as_the_publisher_says(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.array([[(3, 120, 130), (0, 0, 255), (127, 127, 127)]], np.uint8)).save(path)
    assert colour_table({(0, 0, 0): 0, (0, 0, 255): 5})(path).tolist() == [[5, 5, 0]]


def test_an_unknown_colour_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.array([[(0, 0, 0), (0, 0, 0)], [(0, 0, 0), (250, 3, 0)]], np.uint8)).save(path)
    with pytest.raises(StageError) as caught:
        colour_table({(0, 0, 0): 0, (0, 0, 255): 1})(path)
    assert str(caught.value).startswith(
        f"{path}: unknown colour (250, 3, 0) at row 1, column 1. Expected (0, 0, 0), (0"
    )


def test_what_is_transparent_is_black_and_improbable_for_publishers_too(tmp_path: Path) -> None:
    path, pixels = tmp_path / "m.png", np.full((2, 2, 4), 255, np.uint8)
    pixels[0] = (0, 0, 255, 0), (0, 0, 0, 255)
    Image.fromarray(pixels).save(path)
    assert colour_table({(0, 0, 0): 0, (0, 0, 255): 1, (255, 255, 255): 2})(path).tolist() == [[0, 0], [2, 2]]
    assert probable(path).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("decode", [probable, colour_table({(0, 0, 0): 0})])
def test_publishers_masks_are_of_eight_bits(tmp_path: Path, decode: MaskDecoder) -> None:
    Image.fromarray(np.ones((3, 3), np.uint16)).save(tmp_path / "m.png")
    with pytest.raises(StageError, match=r"m\.png: .* expected.*\. Found mode I;16\. Convert it"):
        decode(tmp_path / "m.png")


def test_crack_is_label_two_exactly(tmp_path: Path) -> None:
    path = matlab(tmp_path / "m.mat", np.array([[1, 2, 3, 4], [2, 2, 1, 1]], np.uint8))
    assert matlab_label(2)(path).tolist() == [[0, 1, 0, 0], [1, 1, 0, 0]]
    assert matlab_size(path) == (2, 4)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file", b"\0" * 300, b"nonsense" * 40])
def test_what_is_no_matlab_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.mat"
    path.write_bytes(content)
    with pytest.raises(StageError) as caught:
        matlab_label(2)(path)
    assert str(caught.value).startswith(f"{path}: no MATLAB file with groundTruth.Segmentation")


@pytest.mark.parametrize("keep", range(0, 400, 7))
def test_a_matlab_file_cut_anywhere_is_named(tmp_path: Path, keep: int) -> None:
    whole = matlab(tmp_path / "m.mat", np.ones((9, 9), np.uint8)).read_bytes()
    path = tmp_path / "cut.mat"
    path.write_bytes(whole[: min(keep, len(whole) - 200)])
    with pytest.raises(StageError, match=r"cut\.mat: no MATLAB file"):
        matlab_label(2)(path)


def test_a_segmentation_that_is_no_table_is_named(tmp_path: Path) -> None:
    path = matlab(tmp_path / "m.mat", np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(StageError, match=r"m\.mat: groundTruth\.Segmentation is not a table of pixels"):
        matlab_label(2)(path)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "?"])
@pytest.mark.parametrize("compressed", [True, False])
def test_matlab_tables_are_what_scipy_reads(tmp_path: Path, dtype: str, compressed: bool) -> None:
    path, table = tmp_path / "m.mat", np.random.default_rng(0).integers(0, 2, (5, 3)).astype(dtype)
    other = {"Boundaries": np.eye(4), "Segmentation": table, "Names": np.array(["a", "b"], object), "x": 7}
    savemat(path, {"before": np.arange(3), "groundTruth": other, "after": "text"}, do_compression=compressed)
    expected = loadmat(path)["groundTruth"]["Segmentation"][0, 0]
    np.testing.assert_array_equal(MatlabFile(path).table("groundTruth", "Segmentation"), expected)
    for variable, field in (("before", "x"), ("groundTruth", "Names"), ("groundTruth", "y"), ("nothing", "x")):
        with pytest.raises(ValueError, match=r"no structure|no numbers|no field"):
            MatlabFile(path).table(variable, field)


def test_a_matlab_file_that_ends_scipys_process_is_named(tmp_path: Path) -> None:
    """A type of 99, which SciPy looks up without asking, in the place of any word of the file."""
    path = matlab(tmp_path / "m.mat", np.ones((9, 9), np.uint8))
    content, refused = path.read_bytes(), 0
    for place in range(128, len(content) - 4, 4):
        path.write_bytes(content[:place] + (99).to_bytes(4, "little") + content[place + 4 :])
        with suppress(StageError):
            assert matlab_label(2)(path).dtype == np.uint8
            continue
        refused += 1
    assert refused > 10
