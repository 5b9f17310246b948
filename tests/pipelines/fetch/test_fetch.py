"""Fetching without a network: generated, mirrored, placed by hand; what was there before is never damaged."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.artifacts.manifest import MANIFEST, read_manifest
from pipelines.core.console import StageError
from pipelines.datasets.cases import read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.fetch.mirror import load_mirror, mirror_from_environment
from pipelines.fetch.obtain import fetch
from tests.support.commands import run_module
from tests.support.mirror import mirror

CATALOGUE = load_catalogue()


def entry(**changes: Any) -> DatasetEntry:
    source = {"kind": "manual", "page": "https://example.org/form", "how": "Fill in the form.", "file": "pictures.zip"}
    fields = {"title": "Pictures", "task": "segmentation", "classes": ["background", "lesion"], "labels": ["benign"]}
    fields |= {"channels": 1, "reader": "busi", "terms": "For tests only.", "citation": "Nobody (2026)."}
    return DatasetEntry.model_validate({**fields, "name": "pictures", "sources": [{**source, **changes}]})


def pack(path: Path, **files: str) -> str:
    """Write a zip file and return its sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.png", content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mirror_of(folder: Path, **entries: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "mirror.yaml").write_text(yaml.safe_dump(entries))
    return folder


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_module("pipelines.fetch", *arguments, cwd=cwd, **environment)


@pytest.fixture
def small() -> DatasetEntry:
    """The simulated data set with eight images."""
    phantom = CATALOGUE["phantom"].model_dump()
    return DatasetEntry.model_validate({**phantom, "sources": [{"kind": "generated", "count": 8, "seed": 0}]})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_generated_data_is_the_same_every_time(small: DatasetEntry, tmp_path: Path) -> None:
    manifest = fetch(small, tmp_path / "one")
    assert (manifest.provenance, manifest.files, manifest.sources) == ("generated", 16, ())
    fetch(small, tmp_path / "two")
    assert contents(tmp_path / "one/raw") == contents(tmp_path / "two/raw")
    assert len(read_cases(small, tmp_path / "one/raw/phantom")) == 8


def test_a_second_run_changes_nothing(small: DatasetEntry, tmp_path: Path) -> None:
    fetch(small, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").rglob("*")}
    fetch(small, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").rglob("*")} == before


def test_a_lost_file_is_brought_back(small: DatasetEntry, tmp_path: Path) -> None:
    fetch(small, tmp_path)
    before = contents(tmp_path / "raw")
    (tmp_path / "raw/phantom/benign/p0001_v1.png").unlink()
    fetch(small, tmp_path)
    assert contents(tmp_path / "raw") == before


def test_another_source_in_the_catalogue_replaces_the_data(small: DatasetEntry, tmp_path: Path) -> None:
    fetch(small, tmp_path)
    more = DatasetEntry.model_validate(
        {**small.model_dump(), "sources": [{"kind": "generated", "count": 4, "seed": 0}]}
    )
    assert fetch(more, tmp_path).files == 8
    assert len(contents(tmp_path / "raw/phantom")) == 8 + 1


def test_a_failed_fetch_leaves_what_was_there(small: DatasetEntry, tmp_path: Path) -> None:
    fetch(small, tmp_path)
    before = contents(tmp_path / "raw")
    broken = DatasetEntry.model_validate({**entry().model_dump(), "name": "phantom"})
    pack(tmp_path / "downloads/pictures.zip", a="1" * 100)
    (tmp_path / "downloads/pictures.zip").write_bytes((tmp_path / "downloads/pictures.zip").read_bytes()[:-20])
    with pytest.raises(StageError, match="truncated"):
        fetch(broken, tmp_path)
    assert contents(tmp_path / "raw") == before


def test_files_that_are_not_ours_are_not_touched(tmp_path: Path, small: DatasetEntry) -> None:
    (tmp_path / "raw/phantom").mkdir(parents=True)
    (tmp_path / "raw/phantom/mine.png").write_text("precious")
    with pytest.raises(StageError, match=r"raw/phantom: not empty and not fetched by this stage .*Move it away"):
        fetch(small, tmp_path)
    assert contents(tmp_path / "raw") == {"phantom/mine.png": b"precious"}


def test_what_a_program_cannot_get_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        fetch(entry(), tmp_path)
    place = tmp_path / "downloads/pictures.zip"
    for part in ("https://example.org/form", f"place it at {place}", "For tests only.", "Nobody (2026)."):
        assert part in str(caught.value)
    pack(place, a="1")
    manifest = fetch(entry(), tmp_path)
    assert (manifest.provenance, manifest.sources[0].address) == ("published", "https://example.org/form")


def test_a_wrong_file_placed_by_hand_is_refused_and_kept(tmp_path: Path) -> None:
    place = tmp_path / "downloads/pictures.zip"
    found = pack(place, a="1")
    with pytest.raises(StageError, match=rf"pictures\.zip: wrong checksum. Found sha256:{found}. Expected sha256:00"):
        fetch(entry(checksum="sha256:" + "0" * 64), tmp_path)
    assert place.exists()
    assert not (tmp_path / "raw/pictures").exists()


def test_an_unknown_checksum_is_remembered(tmp_path: Path) -> None:
    place = tmp_path / "downloads/pictures.zip"
    first = pack(place, a="1")
    fetch(entry(), tmp_path)
    shutil.rmtree(tmp_path / "raw")
    pack(place, a="2")
    with pytest.raises(StageError, match=f"wrong checksum. .*Expected sha256:{first}"):
        fetch(entry(), tmp_path)


def test_a_file_that_could_not_be_unpacked_is_not_remembered(tmp_path: Path) -> None:
    place = tmp_path / "downloads/pictures.zip"
    place.parent.mkdir()
    place.write_text("<html>Please log in</html>")
    with pytest.raises(StageError, match="no zip or tar archive"):
        fetch(entry(), tmp_path)
    pack(place, a="1")
    assert fetch(entry(), tmp_path).files == 1


def test_several_archives_become_one_data_set(tmp_path: Path) -> None:
    pack(tmp_path / "downloads/pictures.zip", a="1")
    pack(tmp_path / "downloads/masks.zip", b="2")
    sources = [entry().sources[0].model_dump(), entry(file="masks.zip").sources[0].model_dump()]
    both = DatasetEntry.model_validate({**entry().model_dump(), "sources": sources})
    assert [source.file for source in fetch(both, tmp_path).sources] == ["pictures.zip", "masks.zip"]
    assert set(contents(tmp_path / "raw/pictures")) == {"a.png", "b.png", MANIFEST}


def test_a_mirror_stands_in_and_is_recorded(tmp_path: Path) -> None:
    sha256 = pack(tmp_path / "mirror/copy.zip", a="1")
    folder = mirror_of(
        tmp_path / "mirror", pictures={"file": "copy.zip", "sha256": sha256, "reduced": "half size", "cite": "x"}
    )
    manifest = fetch(entry(checksum="sha256:" + "0" * 64), tmp_path, load_mirror(folder))
    assert (manifest.provenance, manifest.reduced, manifest.sources[0].sha256) == ("mirror", "half size", sha256)
    assert read_manifest(tmp_path, "pictures") == manifest


def test_a_mirror_without_description_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMF_DATA_MIRROR", str(tmp_path))
    with pytest.raises(StageError, match=r"mirror\.yaml: no such file. DMF_DATA_MIRROR must name a folder"):
        mirror_from_environment()
    monkeypatch.delenv("DMF_DATA_MIRROR")
    assert mirror_from_environment() is None


def test_a_manifest_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"pictures was not fetched. Run `python -m"):
        read_manifest(tmp_path, "pictures")
    (tmp_path / "raw/pictures").mkdir(parents=True)
    (tmp_path / "raw/pictures" / MANIFEST).write_text("{}")
    with pytest.raises(StageError, match="not a record of a fetch"):
        read_manifest(tmp_path, "pictures")


def test_busi_from_the_mirror_on_the_command_line(tmp_path: Path) -> None:
    done = run("--dataset", "busi", cwd=tmp_path, DMF_DATA_MIRROR=str(mirror()))
    assert done.returncode == 0, done.stderr
    assert "mirror, longest side 256 px" in done.stdout
    cases = read_cases(CATALOGUE["busi"], tmp_path / "data/raw/busi")
    assert len(cases) == 647
    assert sum(case.label == "malignant" for case in cases) == 210
    assert sum(len(case.masks) > 1 for case in cases) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "bussi"], "no data set is called 'bussi'. Did you mean `busi`?"),
        (["--study", "quickstat"], "no study is called 'quickstat'. Did you mean `quickstart`?"),
    ],
)
def test_a_wrong_name_is_one_message_and_a_failure(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir())
