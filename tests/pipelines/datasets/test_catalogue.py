"""The catalogue: every mistake in it is one clear message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.core.console import StageError
from pipelines.datasets.catalogue import find_entries, known_datasets, load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.sources import Archive, Download, Local, Manual

ENTRY: dict[str, Any] = {
    "title": "Pictures",
    "task": "segmentation",
    "classes": ["background", "lesion"],
    "labels": ["benign"],
    "channels": 1,
    "reader": "busi",
    "sources": [{"kind": "archive", "url": "https://example.org/a/pictures.zip", "checksum": "md5:" + "0" * 32}],
    "terms": "none",
    "citation": "nobody",
}


def write(folder: Path, **entries: Any) -> Path:
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(entries))
    return path


def test_ours_holds_the_default_and_busi() -> None:
    catalogue = load_catalogue()
    assert catalogue["phantom"].sources[0].kind == "generated"
    busi = catalogue["busi"]
    assert busi.labels == ("benign", "malignant")
    (source,) = busi.sources
    assert isinstance(source, Archive)
    assert (source.file, source.bytes) == ("Dataset_BUSI.zip", 205_873_341)
    assert source.checksum == "sha256:b2ce09f6063a31a73f628b6a6ee1245187cbaec225e93e563735691d68654de7"


PAPERS = {
    "phantom", "busi", "busc", "bus_synthetic", "bus_bra", "isic2017", "isic2018", "ph2", "brats2018", "picai2022",
    "brain_tumor_mri", "tomato_leaf", "deepglobe", "crack_forest",
}  # fmt: skip


def test_ours_holds_every_data_set_of_the_papers() -> None:
    assert set(load_catalogue()) >= PAPERS


@pytest.mark.parametrize("entry", load_catalogue().values(), ids=str)
def test_every_entry_of_ours_can_be_cited_and_got(entry: DatasetEntry) -> None:
    """What the models cannot check: a citation with a year, secure addresses, classes that fit the task."""
    assert re.search(r"(19|20)\d\d\)", entry.citation) or entry.name.startswith("phantom")
    assert len(set(entry.classes)) == len(entry.classes) >= 2
    if entry.task == "classification":
        assert entry.labels == entry.classes
    for source in entry.sources:
        if isinstance(source, Download):
            assert source.address.startswith("https://")
            assert source.file.endswith(".zip") or isinstance(source, Manual)


def test_an_entry_can_read_the_files_of_another_in_another_way() -> None:
    whole, patches = (load_catalogue()[name] for name in ("crack_forest", "crack_forest_patches"))
    assert (patches.sources, patches.terms, patches.citation) == (whole.sources, whole.terms, whole.citation)
    assert (patches.task, patches.title) != (whole.task, whole.title)


def test_an_entry_without_a_reader_is_read_by_its_task(tmp_path: Path) -> None:
    short = {key: value for key, value in ENTRY.items() if key not in {"reader", "citation"}}
    path = write(tmp_path, pixels=short, images={**short, "task": "classification", "sources_of": "pixels"})
    found = load_catalogue(path)
    assert found["pixels"].reader == "image_mask_folders"
    assert found["images"].reader == "label_folders"
    assert found["pixels"].citation == "Not published."


def test_several_archives_and_one_by_hand(tmp_path: Path) -> None:
    by_hand = {"kind": "manual", "page": "https://example.org/form", "how": "Fill it in.", "file": "masks"}
    path = write(tmp_path, pictures={**ENTRY, "sources": [*ENTRY["sources"], by_hand]})
    images, masks = load_catalogue(path)["pictures"].sources
    assert isinstance(images, Archive)
    assert isinstance(masks, Manual)
    assert (images.file, images.address) == ("pictures.zip", "https://example.org/a/pictures.zip")
    assert (masks.file, masks.address) == ("masks", "https://example.org/form")


@pytest.mark.parametrize(
    ("source", "file", "address"),
    [
        ({"kind": "archive", "url": "https://e.org/a/b.zip?x=1"}, "b.zip", "https://e.org/a/b.zip?x=1"),
        ({"kind": "archive", "url": "https://e.org/a/download", "file": "b.zip"}, "b.zip", "https://e.org/a/download"),
        ({"kind": "zenodo", "record": 12, "file": "b.zip"}, "b.zip", "https://zenodo.org/records/12"),
        ({"kind": "kaggle", "dataset": "ann/b"}, "b.zip", "https://www.kaggle.com/datasets/ann/b"),
        ({"kind": "manual", "page": "https://e.org", "how": "Ask.", "file": "b"}, "b", "https://e.org"),
    ],
)
def test_each_kind_knows_its_file_and_where_it_is(
    tmp_path: Path, source: dict[str, Any], file: str, address: str
) -> None:
    (found,) = load_catalogue(write(tmp_path, pictures={**ENTRY, "sources": [source]}))["pictures"].sources
    assert isinstance(found, Download)
    assert (found.file, found.address, found.into) == (file, address, "")


@pytest.mark.parametrize(("path", "expected"), [("scans", "{here}/scans"), ("../a b", "{here}/../a b"), ("/a", "/a")])
def test_a_local_path_starts_at_the_catalogue(tmp_path: Path, path: str, expected: str) -> None:
    source = {"kind": "local", "path": path}
    (found,) = load_catalogue(write(tmp_path, pictures={**ENTRY, "sources": [source]}))["pictures"].sources
    assert isinstance(found, Local)
    assert str(found.path) == expected.format(here=tmp_path)


def test_own_data_sets_stand_beside_ours(tmp_path: Path) -> None:
    write(tmp_path, mine=ENTRY)
    assert list(known_datasets(tmp_path)) == [*load_catalogue(), "mine"]
    assert [entry.name for entry in find_entries(["mine", "busi"], tmp_path)] == ["mine", "busi"]
    assert list(known_datasets(tmp_path / "elsewhere")) == list(load_catalogue())


OPTIONAL = {"layout", "reader", "values", "volume", "patient", "sources_of", "citation", "sides", "at_most"}


@pytest.mark.parametrize("key", sorted(set(DatasetEntry.model_fields) - {"name"} - OPTIONAL))
def test_every_key_is_needed(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, pictures={name: value for name, value in ENTRY.items() if name != key})
    with pytest.raises(StageError, match=f"key `{key}` is missing"):
        load_catalogue(path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        StageError, match=r"no data set is called 'phantm'. Did you mean `phantom`\? Known: brain_tumor_binary, "
    ):
        find_entries(["busi", "phantm"], tmp_path)


def test_names_are_fetched_once_each(tmp_path: Path) -> None:
    assert [entry.name for entry in find_entries(["busi", "phantom", "busi"], tmp_path)] == ["busi", "phantom"]
