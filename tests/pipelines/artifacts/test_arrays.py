"""Prepared data: what `load` gives, and what it says when something is wrong with the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import arrays
from pipelines.artifacts.arrays import CASES, COLUMNS, FILES, META, Meta
from pipelines.core.checksums import file_checksum, joint_checksum
from pipelines.core.console import StageError
from pipelines.datasets.params import FilterParams, SplitParams

SIZE = 16
FOLDER = f"arrays/tiny/{SIZE}"


def save(root: Path, task: str, channels: int, spatial: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Six images called tiny."""
    folder = root / FOLDER
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    images = (6, channels, *spatial)
    for name, shape in zip(FILES, [images, images, targets], strict=True):
        np.save(folder / name, random.integers(0, 2, shape, dtype=np.uint8))
    splits = ["train", "train", "train", "train", "val", "test"]
    cases = pd.DataFrame({"image": list("abcdef"), "label": "NA", "group": list("uvwxyz"), "split": splits})
    cases[["grouped", "stratified", "random", "official"]] = ""
    cases["grouped"], cases["official"] = splits, ["val", "", "test", "test", "train", "train"]
    cases["fold"] = [0, 0, 1, 1, 2, 3]
    cases["published"], cases["sha256"] = "", [f"{number:064x}" for number in range(6)]
    cases["height"], cases["width"] = 40, 50
    cases.to_csv(folder / CASES, index=False)
    sha256 = {name: file_checksum(folder / name) for name in (*FILES, CASES)}
    meta = Meta(
        dataset="tiny", title="Tiny", task=task, classes=("background", "lesion"), labels=("NA",), channels=channels,
        spatial=spatial, from_volumes=len(spatial) > 2, split=SplitParams(), filter=FilterParams(), sha256=sha256,
        checksum=joint_checksum(sha256), reduced=None, terms="free", citation="none",
    )  # fmt: skip
    (folder / META).write_text(meta.model_dump_json())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six grey images of 16 pixels."""
    save(tmp_path, "segmentation", 1, (16, 16), targets=(6, 16, 16))
    return tmp_path


def test_arrays_are_maps_of_the_files_that_cannot_be_written(root: Path) -> None:
    data = arrays.load(root, "tiny", SIZE)
    assert isinstance(data.images, np.memmap)
    assert data.images.shape == data.filtered.shape == (6, 1, 16, 16)
    assert data.targets.shape == (6, 16, 16)
    assert data.cases["split"].value_counts().to_dict() == {"train": 4, "val": 1, "test": 1}
    assert (data.cases["label"] == "NA").all()
    assert data.meta.classes == ("background", "lesion")
    assert data.meta.size == 16
    assert data.directory == root / FOLDER
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 1


@pytest.mark.parametrize(
    ("split", "train", "val", "test"),
    [
        ("default", [0, 1, 2, 3], [4], [5]),
        ("grouped", [0, 1, 2, 3], [4], [5]),
        ("official", [4, 5], [0], [2, 3]),  # row 1 is left out
        ("fold:0", [4, 5], [2, 3], [0, 1]),
        ("fold:2", [0, 1, 2, 3], [5], [4]),
        ("fold:3", [2, 3, 4], [0, 1], [5]),  # after the last fold comes the first
    ],
)
def test_a_split_is_looked_up_by_its_name(
    root: Path, split: str, train: list[int], val: list[int], test: list[int]
) -> None:
    rows = arrays.load(root, "tiny", SIZE).rows(split)
    assert {side: index.tolist() for side, index in rows.items()} == {"train": train, "val": val, "test": test}


@pytest.mark.parametrize("split", ["random", "fold:4", "fold:12", "fold", "fold:x", "random:x", "image", "published"])
def test_a_split_that_a_data_set_does_not_have_is_named_with_those_that_it_has(root: Path, split: str) -> None:
    with pytest.raises(StageError) as caught:
        arrays.load(root, "tiny", SIZE).rows(split)
    assert f"tiny/16/cases.csv: the split '{split}' has no images for " in str(caught.value)
    assert "There are: default, grouped, official, fold:0 to fold:3, and <method>:<seed>. Choose one in" in str(
        caught.value
    )


@pytest.mark.parametrize("name", [*FILES, CASES])
def test_one_flipped_byte_is_named(root: Path, name: str) -> None:
    arrays.load(root, "tiny", SIZE).verify()
    path = root / FOLDER / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match=f"{name}: found SHA-256 .*as meta.json beside it says. Prepare it again"):
        arrays.load(root, "tiny", SIZE).verify()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_patches_of_volumes_have_a_depth(tmp_path: Path, channels: int) -> None:
    save(tmp_path, "segmentation", channels, (4, 16, 16), targets=(6, 4, 16, 16))
    data = arrays.load(tmp_path, "tiny", SIZE)
    assert data.images.shape == (6, channels, 4, 16, 16)
    assert data.targets.shape == (6, 4, 16, 16)


def test_an_image_has_one_class_in_classification(tmp_path: Path) -> None:
    save(tmp_path, "classification", 3, (16, 16), targets=(6,))
    assert arrays.load(tmp_path, "tiny", SIZE).targets.shape == (6,)


def test_the_checksum_depends_on_every_file_and_on_no_order() -> None:
    files = {"images.npy": "1", "targets.npy": "2"}
    assert joint_checksum(files) == joint_checksum(dict(reversed(files.items())))
    assert joint_checksum(files) != joint_checksum({"images.npy": "2", "targets.npy": "1"})
    assert joint_checksum(files) != joint_checksum({"images.npy": "1"})


def test_the_checksum_of_a_file_by_hand(tmp_path: Path) -> None:
    """SHA-256 of "abc", the first example of FIPS 180-2."""
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_checksum(tmp_path / "abc") == expected


@pytest.mark.parametrize("name", [*FILES, CASES, META])
def test_a_missing_file_is_named_with_the_remedy(root: Path, name: str) -> None:
    (root / FOLDER / name).unlink()
    with pytest.raises(
        StageError, match=rf"16/{name} is missing. .* `dvc repro filter`, or .* --dataset tiny --size 16`"
    ):
        arrays.load(root, "tiny", SIZE)


def cut(folder: Path) -> str:
    path = folder / "images.npy"
    path.write_bytes(path.read_bytes()[:-100])
    return "images.npy: found no readable array"


def no_array(folder: Path) -> str:
    (folder / "targets.npy").write_bytes(b"")
    return "targets.npy: found no readable array"


def other_type(folder: Path) -> str:
    np.save(folder / "filtered.npy", np.zeros((6, 1, 16, 16), dtype=np.float32))
    return "filtered.npy: found float32 (6, 1, 16, 16), expected uint8 (6, 1, 16, 16)"


def fewer_masks(folder: Path) -> str:
    np.save(folder / "targets.npy", np.zeros((5, 16, 16), dtype=np.uint8))
    return "targets.npy: found uint8 (5, 16, 16), expected uint8 (6, 16, 16)"


def fewer_cases(folder: Path) -> str:
    pd.read_csv(folder / CASES).iloc[:4].to_csv(folder / CASES, index=False)
    return "images.npy: found uint8 (6, 1, 16, 16), expected uint8 (4, 1, 16, 16)"


def other_columns(folder: Path) -> str:
    pd.read_csv(folder / CASES).drop(columns="group").to_csv(folder / CASES, index=False)
    return f"cases.csv: found the columns {', '.join(column for column in COLUMNS if column != 'group')}, expected"


def no_json(folder: Path) -> str:
    (folder / META).write_text("{")
    return "meta.json: found"


def no_shape(folder: Path) -> str:
    meta = json.loads((folder / META).read_text())
    del meta["spatial"]
    (folder / META).write_text(json.dumps(meta))
    return "meta.json: found `spatial`: Field required"


def masks_of_classes(folder: Path) -> str:
    meta = json.loads((folder / META).read_text())
    (folder / META).write_text(json.dumps({**meta, "task": "classification"}))
    return "targets.npy: found uint8 (6, 16, 16), expected uint8 (6,)"


@pytest.mark.parametrize(
    "spoil", [cut, no_array, other_type, fewer_masks, fewer_cases, other_columns, no_json, no_shape, masks_of_classes]
)
def test_what_does_not_fit_together_is_named(root: Path, spoil: Callable[[Path], str]) -> None:
    message = spoil(root / FOLDER)
    with pytest.raises(StageError) as caught:
        arrays.load(root, "tiny", SIZE)
    assert message in str(caught.value)
    assert "dvc repro --force filter" in str(caught.value)


def rewritten(root: Path, **columns: list[object]) -> str:
    """The digest of the default split, unfiltered, after other values in columns of cases.csv."""
    pd.read_csv(root / FOLDER / CASES).assign(**columns).to_csv(root / FOLDER / CASES, index=False)
    return arrays.load(root, "tiny", SIZE).digest("default", filtered=False)


def test_what_a_trial_is_given_decides_its_digest_and_nothing_else(root: Path) -> None:
    before = arrays.load(root, "tiny", SIZE).digest("default", filtered=False)
    assert arrays.load(root, "tiny", SIZE).digest("default", filtered=True) != before
    assert arrays.load(root, "tiny", SIZE).digest("official", filtered=False) != before
    assert rewritten(root, label=["x"] * 6, image=list("ghijkl"), random=["test"] * 6) == before
    assert rewritten(root, split=["train", "train", "train", "test", "val", "train"]) != before


def test_pixels_of_another_size_are_other_data(root: Path) -> None:
    before = arrays.load(root, "tiny", SIZE).digest("default", filtered=False)
    assert arrays.pixel_spacing(arrays.load(root, "tiny", SIZE).cases, (16, 16)).tolist() == [[40 / 16, 50 / 16]] * 6
    assert rewritten(root, height=[80] * 6) != before
