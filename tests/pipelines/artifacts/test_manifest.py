"""The entry of the catalogue travels with the data that were fetched by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.artifacts.manifest import Manifest, fetched_entries, manifest_path, read_manifest
from pipelines.core.console import StageError
from pipelines.datasets.catalogue import OWN, find_entries, load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.fetch.obtain import fetch
from tests.support.audited import place_manifest
from tests.support.pictures import disc, save, texture

ENTRY: dict[str, Any] = {
    "title": "Pictures",
    "task": "segmentation",
    "classes": ["background", "nodule"],
    "labels": ["benign", "malignant"],
    "channels": 1,
    "sources": [{"kind": "local", "path": "../scans"}],
    "terms": "For tests only.",
}
CHANGES: list[dict[str, Any]] = [
    {"patient": "^(p[0-9]+)_"},
    {"labels": ["benign"]},
    {"classes": ["background", "lesion"]},
    {"channels": 3},
    {"reader": "busi"},
    {"volume": {"cut": "slices", "every": 2}},
    {"title": "Images"},
    {"terms": "Free."},
    {"citation": "Nobody et al. (2026)."},
    {"task": "classification"},
]


def described(root: Path, **changes: Any) -> DatasetEntry:
    """The entry of one's own catalogue, written and read."""
    (root / OWN).write_text(yaml.safe_dump({"pictures": {**ENTRY, **changes}}))
    return find_entries(["pictures"], root)[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with a data set of one's own, fetched."""
    for label in ENTRY["labels"]:
        save(tmp_path / f"scans/images/{label}/p1_a.png", texture(len(label)))
        save(tmp_path / f"scans/masks/{label}/p1_a.png", disc())
    root = tmp_path / "data"
    root.mkdir()
    fetch(described(root), root)
    return root


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_ino for path in folder.rglob("*.png")}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_changed_entry_changes_what_dvc_sees_of_the_data_and_fetches_nothing_again(
    root: Path, change: dict[str, Any]
) -> None:
    path = manifest_path(root, "pictures")
    before, images = path.read_bytes(), stamps(path.parent)
    entry = described(root, **change)
    assert fetch(entry, root).entry == entry.of_any_machine() == read_manifest(root, "pictures").entry
    assert path.read_bytes() != before
    assert stamps(path.parent) == images, "the very same files"
    assert fetched_entries(["pictures"], root) == [entry.of_any_machine()]
    fetch(described(root), root)
    assert path.read_bytes() == before, "the same entry gives the same bytes"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_no_stage_works_by_an_entry_that_the_catalogue_has_no_more(root: Path, change: dict[str, Any]) -> None:
    described(root, **change)
    with pytest.raises(StageError, match=rf"another `{next(iter(change))}` than the .* pipelines.fetch --dataset pict"):
        fetched_entries(["pictures"], root)


def test_data_that_came_without_their_catalogue_bring_their_entry(root: Path) -> None:
    entry = described(root)
    (root / OWN).unlink()
    assert fetched_entries(["pictures", "pictures"], root) == [entry.of_any_machine()]


def test_a_data_set_that_nobody_knows_or_fetched_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no data set is called 'bussi'. Did you mean `busi`"):
        fetched_entries(["bussi"], tmp_path)
    with pytest.raises(StageError, match=r"busi was not fetched. Run `python -m pipelines.fetch --dataset busi`"):
        fetched_entries(["busi"], tmp_path)


@pytest.mark.parametrize("entry", load_catalogue().values(), ids=str)
def test_every_entry_comes_back_as_it_was_written(tmp_path: Path, entry: DatasetEntry) -> None:
    place_manifest(tmp_path, entry)
    manifest = read_manifest(tmp_path, entry.name)
    assert manifest.entry == entry
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
