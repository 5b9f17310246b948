"""The filter stage as a person runs it: arrays whole or not at all, the same bytes every time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.artifacts import arrays
from pipelines.artifacts.split_table import read_table, table_path, write_table
from pipelines.core.console import StageError
from pipelines.core.files import replaced
from pipelines.core.images import resize_image, resize_mask
from pipelines.datasets.bilateral import bilateral
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import FilterParams, Params, load_params
from pipelines.datasets.readers.images import load_image
from pipelines.datasets.readers.masks import load_mask
from pipelines.filter.prepare import prepare
from tests.support.audited import audit_and_split, place_manifest
from tests.support.mirror import archive
from tests.support.places import ROOT

BUSI = load_catalogue()["busi"]
SIZE = 32
PARAMS = Params(study="quickstart")


@pytest.fixture
def root(workplace: Path) -> Path:
    """The data folder with busi split."""
    root = workplace / "data"
    audit_and_split(root, BUSI)
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_each_row_is_its_image_resized_and_filtered(root: Path) -> None:
    meta = prepare(BUSI, root, SIZE, PARAMS)
    data = arrays.load(root, "busi", SIZE)
    table = read_table(table_path(root, "busi"))
    assert data.images.shape == data.filtered.shape == (22, 1, 32, 32)
    assert data.targets.shape == (22, 32, 32)
    assert data.cases[[*arrays.SPLIT_COLUMNS]].equals(table[[*arrays.SPLIT_COLUMNS]])
    raw = root / "raw" / "busi"
    for row in (0, 13, 21):
        picture = load_image(raw / table["image"][row])
        assert tuple(map(int, data.cases.loc[row, ["height", "width"]])) == picture.shape
        image = resize_image(picture, 32)
        np.testing.assert_array_equal(data.images[row, 0], image)
        np.testing.assert_array_equal(data.filtered[row, 0], bilateral(image, FilterParams()))
        np.testing.assert_array_equal(data.targets[row], resize_mask(load_mask([raw / table["masks"][row]]), 32))
    assert set(np.unique(data.targets)) == {0, 1}
    assert meta == data.meta
    assert (meta.classes, meta.labels) == (("background", "lesion"), ("benign", "malignant"))
    assert (meta.spatial, meta.channels, meta.reduced) == ((32, 32), 1, "22 images")
    assert (meta.terms, meta.citation, meta.filter) == (BUSI.terms, BUSI.citation, FilterParams())


def test_several_masks_become_one(root: Path) -> None:
    table = read_table(table_path(root, "busi"))
    first = root / "raw" / "busi" / table.loc[0, "masks"]
    second = np.zeros_like(load_mask([first]))
    second[:5, :5] = 255
    cv2.imwrite(str(first.with_stem(first.stem + "_1")), second)
    audit_and_split(root, BUSI)
    prepare(BUSI, root, SIZE, PARAMS)
    mask = arrays.load(root, "busi", SIZE).targets[0]
    assert mask[0, 0] == mask[16, 16] == 1


def test_colour_keeps_three_channels(root: Path) -> None:
    entry = BUSI.model_copy(update={"channels": 3})
    name = read_table(table_path(root, "busi")).loc[2, "image"]
    red = np.zeros((*load_image(root / "raw" / "busi" / name).shape, 3), dtype=np.uint8)
    red[..., 2] = 200  # OpenCV writes blue, green, red
    cv2.imwrite(str(root / "raw" / "busi" / name), red)
    audit_and_split(root, entry)
    prepare(entry, root, SIZE, PARAMS)
    data = arrays.load(root, "busi", SIZE)
    assert data.images.shape == data.filtered.shape == (22, 3, 32, 32)
    assert data.images[2, :, 5, 5].tolist() == data.filtered[2, :, 5, 5].tolist() == [200, 0, 0]
    assert (data.images[0, 0] == data.images[0, 2]).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_grey_picture_stored_in_colour_is_reduced_before_it_is_filtered(root: Path, suffix: str) -> None:
    """As three channels OpenCV would take each step for three times as large: another picture comes out."""
    raw = root / "raw" / "busi" / read_table(table_path(root, "busi")).loc[0, "image"]
    grey = load_image(raw)
    Image.fromarray(np.dstack([grey] * 3)).save(raw, {".jpg": "JPEG", ".bmp": "BMP"}.get(suffix, "PNG"), quality=100)
    stored = load_image(raw)
    assert stored.shape == (*grey.shape, 3)
    audit_and_split(root, BUSI)
    prepare(BUSI, root, SIZE, PARAMS)
    found = arrays.load(root, "busi", SIZE).filtered[0, 0]
    one = bilateral(resize_image(stored[..., 0].copy(), SIZE), FilterParams())
    three = bilateral(resize_image(stored, SIZE), FilterParams())[..., 0]
    np.testing.assert_allclose(found.astype(int), one, atol=1 if suffix == ".jpg" else 0)
    assert np.abs(found.astype(int) - three).max() > 2


def test_a_classification_data_set_has_the_index_of_each_label_among_the_classes(root: Path) -> None:
    table = read_table(table_path(root, "busi")).assign(masks="")
    write_table(table_path(root, "busi"), table)
    entry: DatasetEntry = BUSI.model_copy(update={"task": "classification", "classes": ("malignant", "benign")})
    prepare(entry, root, SIZE, PARAMS)
    assert arrays.load(root, "busi", SIZE).targets.tolist() == [1] * 14 + [0] * 8
    with pytest.raises(StageError, match="is labelled 'benign', but busi has the classes normal, malignant"):
        prepare(entry.model_copy(update={"classes": ("normal", "malignant")}), root, SIZE, PARAMS)
    with pytest.raises(StageError, match="has no mask, and busi is a segmentation data set"):
        prepare(BUSI, root, SIZE, PARAMS)


def test_the_same_input_gives_the_same_bytes_and_parameters_change_the_checksum(root: Path) -> None:
    first = prepare(BUSI, root, SIZE, PARAMS)
    before = contents(root / "arrays" / "busi" / "32")
    assert prepare(BUSI, root, SIZE, PARAMS).checksum == first.checksum
    assert contents(root / "arrays" / "busi" / "32") == before
    assert prepare(BUSI, root, 40, PARAMS).checksum != first.checksum
    assert contents(root / "arrays" / "busi" / "32") == before, "another size leaves this one as it is"
    other = Params.model_validate({"study": "a", "filter": {"sigma_range": 30.0}})
    assert prepare(BUSI, root, SIZE, other).checksum != first.checksum


@pytest.mark.slow
def test_the_command_ends_with_one_message_and_leaves_earlier_results(
    workplace: Path, root: Path, run_stage_cli: Callable
) -> None:
    run = run_stage_cli("filter", "--dataset", "busi", "--size", "32")
    assert run.returncode == 0, run.stderr
    data = arrays.load(root, "busi", SIZE)
    assert data.checksum[:12] in run.stdout
    before = contents(data.directory)
    table = read_table(table_path(root, "busi"))
    mask = root / "raw" / "busi" / table.loc[7, "masks"]
    cv2.imwrite(str(mask), np.zeros((20, 30), dtype=np.uint8))
    run = run_stage_cli("filter", "--dataset", "busi", "--size", "32")
    assert run.returncode == 1
    assert run.stderr.count("error:") == 1
    assert f"{mask.relative_to(workplace)}: expected 75 x 96 pixels" in run.stderr.replace("\n", "")
    assert "Found 20 x 30" in run.stderr
    assert "Traceback" not in run.stderr
    assert contents(data.directory) == before
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def changed(image: Path, mask: Path) -> str:
    cv2.imwrite(str(image), np.zeros((50, 60), dtype=np.uint8))
    return f"{image} has changed since the split was made"


def gone(image: Path, mask: Path) -> str:
    image.unlink()
    return f"{image} is missing, but the split lists it"


def mask_gone(image: Path, mask: Path) -> str:
    mask.unlink()
    return str(mask)


def mask_unreadable(image: Path, mask: Path) -> str:
    mask.write_bytes(b"no picture")
    return str(mask)


def mask_cut(image: Path, mask: Path) -> str:
    mask.write_bytes(mask.read_bytes()[:100])
    return str(mask)


@pytest.mark.parametrize("breakage", [changed, gone, mask_gone, mask_unreadable, mask_cut])
def test_broken_input_is_named_and_nothing_is_left(root: Path, breakage: Callable[[Path, Path], str]) -> None:
    row = read_table(table_path(root, "busi")).iloc[9]
    message = breakage(root / "raw" / "busi" / row["image"], root / "raw" / "busi" / row["masks"])
    with pytest.raises(StageError) as caught:
        prepare(BUSI, root, SIZE, PARAMS)
    assert message in str(caught.value)
    assert sorted(path.name for path in root.iterdir()) == ["audit", "raw", "splits"]


FILTER = """
import sys
from pathlib import Path
from pipelines.datasets.catalogue import load_catalogue
from pipelines.core.console import run_stage
from pipelines.filter import prepare
from pipelines.datasets.params import load_params
prepare.BLOCK_IMAGES = 3
run_stage(lambda: prepare.prepare(load_catalogue()["busi"], Path("data"), 768, load_params()))
"""
SLOW = "study: quickstart\nfilter: {diameter: 21}\n"


def start_filter(workplace: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", FILTER], cwd=workplace, env=environment, stdout=subprocess.PIPE, text=True
    )


def blocks_done(root: Path, size: int = SIZE) -> int:
    record = root / f".arrays-busi-{size}.blocks" / "blocks.json"
    return len(json.loads(record.read_text())["blocks"]) if record.is_file() else 0


@pytest.mark.slow
def test_a_killed_filter_goes_on_and_filters_nothing_twice(workplace: Path, root: Path) -> None:
    (workplace / "params.yaml").write_text(SLOW)
    running = start_filter(workplace)
    while blocks_done(root, 768) < 2 and running.poll() is None:
        time.sleep(0.005)
    running.kill()
    running.communicate()
    kept = blocks_done(root, 768)
    assert 2 <= kept < 8, "the filter must have been killed in the middle"
    assert not (root / "arrays").exists(), "nothing half-written is to be seen"

    images = np.load(root / ".arrays-busi-768.blocks" / "images.npy", mmap_mode="r+")
    images[0, 0, 0, 0] ^= 1  # a byte of the first block that did not reach the disk as it should have
    images.flush()
    running = start_filter(workplace)
    said, _ = running.communicate()
    assert running.returncode == 0
    assert f"busi: {3 * (kept - 1)} of 22 images were filtered by an earlier run that did not end" in said
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []

    interrupted = contents(root / "arrays" / "busi" / "768")
    prepare(BUSI, root, 768, load_params(workplace / "params.yaml"))
    assert contents(root / "arrays" / "busi" / "768") == interrupted


def test_a_broken_file_costs_its_own_block_and_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.filter.prepare.BLOCK_IMAGES", 4)
    mask = root / "raw" / "busi" / read_table(table_path(root, "busi")).loc[13, "masks"]
    whole = mask.read_bytes()
    mask.write_bytes(b"no picture")
    with pytest.raises(StageError, match=re.escape(str(mask))):
        prepare(BUSI, root, SIZE, PARAMS)
    assert not (root / "arrays").exists()
    assert blocks_done(root) >= 2

    mask.write_bytes(whole)
    first = root / "raw" / "busi" / read_table(table_path(root, "busi")).loc[0, "masks"]
    cv2.imwrite(str(first), 255 - cv2.imread(str(first)))  # what a block was made from has changed since
    capsys.readouterr()
    prepare(BUSI, root, SIZE, PARAMS)
    assert " of 22 images were filtered by an earlier run" in capsys.readouterr().out
    assert arrays.load(root, "busi", SIZE).targets[0, 0, 0] == 1


def test_other_settings_keep_nothing_of_an_earlier_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.filter.prepare.BLOCK_IMAGES", 4)
    mask = root / "raw" / "busi" / read_table(table_path(root, "busi")).loc[21, "masks"]
    whole = mask.read_bytes()
    mask.unlink()
    with pytest.raises(StageError):
        prepare(BUSI, root, SIZE, PARAMS)
    assert blocks_done(root) > 0
    mask.write_bytes(whole)
    capsys.readouterr()
    prepare(BUSI, root, SIZE, Params.model_validate({"study": "a", "filter": {"sigma_range": 30.0}}))
    assert "earlier run" not in capsys.readouterr().out


def test_what_a_killed_run_left_does_not_matter(tmp_path: Path) -> None:
    target = tmp_path / "arrays" / "busi"
    for leftover in (".arrays-busi.partial", ".arrays-busi.old"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "half").touch()
    with replaced(target, beside=tmp_path) as partial:
        assert list(partial.iterdir()) == []
        (partial / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert [path.name for path in tmp_path.iterdir()] == ["arrays"]


def test_a_run_killed_in_the_middle_of_the_swap_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "arrays" / "busi"
    target.parent.mkdir()
    (tmp_path / ".arrays-busi.old").mkdir()
    (tmp_path / ".arrays-busi.old" / "earlier").touch()
    with pytest.raises(StageError), replaced(target, beside=tmp_path):
        raise StageError("broken input")
    assert [path.name for path in target.iterdir()] == ["earlier"]


def test_busi_for_real(tmp_path: Path) -> None:
    """A piece of BUSI through split and filter: every lesion keeps its share of the picture."""
    raw = tmp_path / "raw" / "busi"
    with zipfile.ZipFile(archive("Dataset_BUSI.zip")) as opened:
        names = [name for name in opened.namelist() if any(f"({n})" in name for n in range(1, 13))]
        opened.extractall(raw, [name for name in names if "normal" not in name])
    place_manifest(tmp_path, BUSI)
    audit_and_split(tmp_path, BUSI)
    prepare(BUSI, tmp_path, 128, PARAMS)
    data = arrays.load(tmp_path, "busi", 128)
    table: pd.DataFrame = read_table(table_path(tmp_path, "busi"))
    assert len(table) == 24
    for row, masks in enumerate(table["masks"]):
        share = load_mask([raw / name for name in masks.split(";")]).mean()
        assert data.targets[row].mean() == pytest.approx(share, rel=0.03, abs=0.001)
