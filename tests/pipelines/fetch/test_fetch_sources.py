"""Each kind of source: a service with records, one with tokens, a person's help, and folders of one's own."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.artifacts.manifest import MANIFEST, Manifest
from pipelines.core.console import StageError
from pipelines.datasets.entry import DatasetEntry
from pipelines.fetch import zenodo
from pipelines.fetch.mirror import load_mirror
from pipelines.fetch.obtain import fetch
from tests.support.commands import run_module
from tests.support.site import SIGNATURE, Site

FIELDS: dict[str, Any] = {
    "title": "Pictures",
    "task": "segmentation",
    "classes": ["background", "lesion"],
    "labels": ["benign"],
    "channels": 1,
    "reader": "busi",
    "terms": "For tests only.",
    "citation": "Nobody (2026).",
}
KEY = "k3y-that-nobody-may-see"


def entry(*sources: dict[str, Any]) -> DatasetEntry:
    return DatasetEntry.model_validate({**FIELDS, "name": "pictures", "sources": list(sources)})


def packed(*names: str, times: int = 10_000) -> bytes:
    """A zip file in which each file holds its own name, many times."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, name * times)
    return content.getvalue()


def found(root: Path) -> set[str]:
    folder = root / "raw" / "pictures"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}


@pytest.fixture
def site(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The server holds a zip file and stands in the place of Zenodo."""
    site.content = packed("a.png", "b.png")
    monkeypatch.setattr(zenodo, "RECORDS", f"{site.root}/api/records")
    return site


def record(site: Site, **changes: object) -> None:
    """Describe the site's file as Zenodo describes files of record 12."""
    md5 = hashlib.md5(site.content).hexdigest()
    file: dict[str, object] = {"key": "pictures.zip", "size": len(site.content), "checksum": f"md5:{md5}"}
    site.describe("/api/records/12", {"files": [{**file, "links": {"self": site.url}, **changes}]})


ZENODO = {"kind": "zenodo", "record": 12, "file": "pictures.zip"}


def test_a_record_on_zenodo_tells_address_size_and_checksum(site: Site, tmp_path: Path) -> None:
    record(site)
    site.statuses, site.cuts = [503], [len(site.content) // 2]
    manifest = fetch(entry(ZENODO), tmp_path)
    assert found(tmp_path) == {"a.png", "b.png"}
    assert manifest.sources[0].address == "https://zenodo.org/records/12"
    assert sorted(path.name for path in (tmp_path / "downloads").glob("pictures*")) == [
        "pictures.zip",
        "pictures.zip.checksum",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "other.zip"}, r"records/12: the record has no file pictures\.zip. Found other\.zip"),
        ({"checksum": "md5:" + "0" * 32}, "another checksum. Expected md5:0000"),
        ({"size": 5}, "another length. Expected 5 bytes"),
        ({"links": {}}, r"not a description of a record \(KeyError"),
    ],
)
def test_a_record_that_does_not_fit_is_named(
    site: Site, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    record(site, **changes)
    with pytest.raises(StageError, match=message) as caught:
        fetch(entry(ZENODO), tmp_path)
    assert f"get https://zenodo.org/records/12\n  and place it at {tmp_path}/downloads/pictures.zip" in str(
        caught.value
    )
    assert not [path for path in (tmp_path / "downloads").iterdir() if not path.name.endswith(".lock")]


def test_the_catalogues_checksum_is_worth_more_than_the_records(site: Site, tmp_path: Path) -> None:
    record(site)
    with pytest.raises(StageError, match=r"another checksum\. Expected sha256:0000"):
        fetch(entry({**ZENODO, "checksum": "sha256:" + "0" * 64}), tmp_path)


def test_a_branch_that_moves_is_held_to_what_came_first_and_that_is_said(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an archive without checksum, as `main.zip` of a repository."""
    branch = entry({"kind": "archive", "url": site.url})
    site.content = packed("a.png")
    first = fetch(branch, tmp_path).sources[0].sha256
    record = tmp_path / "downloads/pictures.zip.checksum"
    said = (
        f"the catalogue knows no checksum of it. sha256:{first} is on record in {record}: from now on another file is"
    )
    assert said in " ".join(capsys.readouterr().out.split())
    assert record.read_text() == f"sha256:{first}\n"

    shutil.rmtree(tmp_path / "raw")
    (tmp_path / "downloads/pictures.zip").unlink()
    site.content = packed("b.png")
    with pytest.raises(StageError) as refused:
        fetch(branch, tmp_path)
    assert f"another checksum. Expected sha256:{first}" in str(refused.value)
    assert f"as when it was first fetched; to take another version, remove {record}" in str(refused.value)
    assert found(tmp_path) == set()

    site.content = packed("a.png")
    assert fetch(branch, tmp_path).sources[0].sha256 == first
    record.unlink()
    shutil.rmtree(tmp_path / "raw")
    (tmp_path / "downloads/pictures.zip").write_bytes(packed("b.png"))
    fetch(branch, tmp_path)
    assert found(tmp_path) == {"b.png"}


def test_several_archives_side_by_side(site: Site, tmp_path: Path) -> None:
    """Two archives with the same names go into two folders; into one they do not."""
    sources = [
        {"kind": "archive", "url": f"{site.url}?n={n}", "file": f"{n}.zip", "into": n} for n in ("train", "test")
    ]
    fetch(entry(*sources), tmp_path)
    assert found(tmp_path) == {"train/a.png", "train/b.png", "test/a.png", "test/b.png"}
    with pytest.raises(StageError, match=r"test\.zip: holds 'a\.png', as an archive before it does. Give its source"):
        fetch(entry(*({**source, "into": ""} for source in sources)), tmp_path)
    assert found(tmp_path) == {"train/a.png", "train/b.png", "test/a.png", "test/b.png"}


def test_a_mirror_may_hold_several_archives(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "p.zip").write_bytes(site.content)
    part = {"file": "p.zip", "sha256": hashlib.sha256(site.content).hexdigest()}
    copies = {"pictures": {"files": [{**part, "into": "train"}, {**part, "into": "test"}], "reduced": "two"}}
    (folder / "mirror.yaml").write_text(yaml.safe_dump(copies))
    manifest = fetch(entry(ZENODO), tmp_path, load_mirror(folder))
    assert found(tmp_path) == {"train/a.png", "train/b.png", "test/a.png", "test/b.png"}
    assert (manifest.provenance, manifest.reduced, len(manifest.sources)) == ("mirror", "two", 2)
    assert not site.requests


KAGGLE = {"kind": "kaggle", "dataset": "ann/pictures"}
LOGIN = {"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": KEY}


def run_kaggle(site: Site, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command with Kaggle's own client, told that Kaggle is on this machine and reached through the site."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    (folder / "data/catalogue.yaml").write_text(yaml.safe_dump({"pictures": {**FIELDS, "sources": [KAGGLE]}}))
    kept = {name: value for name, value in os.environ.items() if "KAGGLE" not in name and "proxy" not in name.lower()}
    kept |= {"HOME": str(folder / "home"), "VERBOSE": "true"}
    kept |= {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "HTTP_PROXY": site.root}
    return run_module("pipelines.fetch", "--dataset", "pictures", cwd=folder, environment=kept, **variables)


def secrets_in(folder: Path, *texts: str) -> list[str]:
    """Where something shows up that nobody but the person may see."""
    written = [path for path in (folder / "data").rglob("*") if path.is_file()]
    both = {str(path): path.read_bytes().decode(errors="replace") for path in written} | dict(enumerate(texts))
    return [str(name) for name, text in both.items() if KEY in text or SIGNATURE in text]


@pytest.mark.slow
def test_kaggles_client_brings_a_data_set_with_the_persons_token(site: Site, tmp_path: Path) -> None:
    site.token = "Basic " + base64.b64encode(f"ann:{KEY}".encode()).decode()
    site.content, site.cuts = packed("a.png", "b.png", times=300_000), [2_500_000]
    done = run_kaggle(site, tmp_path, **LOGIN)
    assert done.returncode == 0, done.stderr
    assert found(tmp_path / "data") == {"a.png", "b.png"}
    assert site.requests[-1]["Range"] == f"bytes={2 << 20}-"  # the client writes pieces of 1 MiB
    manifest = Manifest.model_validate_json((tmp_path / "data/raw/pictures" / MANIFEST).read_text())
    assert manifest.sources[0].address == "https://www.kaggle.com/datasets/ann/pictures"
    assert not secrets_in(tmp_path, done.stdout, done.stderr)
    assert not list((tmp_path / "data/downloads").glob("*.kaggle"))


@pytest.mark.slow
def test_a_token_is_found_where_the_client_looks_and_its_refusal_is_explained(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "home/.kaggle/kaggle.json"
    token.parent.mkdir(parents=True)
    token.write_text(json.dumps({"username": "ann", "key": KEY}))
    token.chmod(0o600)
    done = run_kaggle(site, tmp_path)
    assert done.returncode == 1
    for part in (
        "https://www.kaggle.com/datasets/ann/pictures: Kaggle answers 401: it does not accept the token. Make a token",
        "place it at data/downloads/pictures.zip",
        "For tests only.",
    ):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not secrets_in(tmp_path, done.stdout, done.stderr)


@pytest.mark.slow
def test_without_a_token_the_person_learns_what_to_do(site: Site, tmp_path: Path) -> None:
    done = run_kaggle(site, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Kaggle's client finds no token")
    for part in ("https://www.kaggle.com/settings", "~/.kaggle/kaggle.json", "place it at data/downloads/pictures.zip"):
        assert part in done.stderr
    assert not site.requests


MANUAL = {"kind": "manual", "page": "https://example.org/form", "how": "Fill in the form.", "file": "Pictures"}


def test_what_a_person_must_get_is_explained_and_taken_as_archive(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        fetch(entry(MANUAL), tmp_path)
    for part in ("Pictures cannot be downloaded by a program. Fill in the form.", "get https://example.org/form\n"):
        assert part in str(caught.value)
    (tmp_path / "downloads/Pictures.zip").write_bytes(packed("Pictures/a.png"))
    fetch(entry(MANUAL), tmp_path)
    assert found(tmp_path) == {"Pictures/a.png"}


def test_what_a_person_unpacked_is_as_good_as_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "downloads/Pictures"
    (folder / "deep").mkdir(parents=True)
    (folder / "@eaDir").mkdir()
    for name in ("a.png", "deep/b.png", ".DS_Store", "deep/Thumbs.db", "@eaDir/a.png"):
        (folder / name).write_text(name)
    manifest = fetch(entry(MANUAL), tmp_path)
    assert found(tmp_path) == {"Pictures/a.png", "Pictures/deep/b.png"}
    assert (manifest.provenance, manifest.sources[0].file, manifest.sources[0].bytes) == ("published", "Pictures", 15)
    assert fetch(entry(MANUAL), tmp_path) == manifest
    assert (tmp_path / "raw/pictures/Pictures/a.png").samefile(folder / "a.png")


def own(folder: Path) -> DatasetEntry:
    return entry({"kind": "local", "path": folder})


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of the person's own, outside the data folder."""
    folder = tmp_path / "scans"
    (folder / "images").mkdir(parents=True)
    (folder / "images/a.png").write_text("a")
    return folder


def test_ones_own_folder_is_followed_when_it_changes(scans: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    first = fetch(own(scans), root)
    assert (first.provenance, first.sources[0].address, found(root)) == ("own", "own: scans", {"images/a.png"})
    assert str(tmp_path) not in first.model_dump_json()
    assert fetch(own(scans), root) == first
    (scans / "images/b.png").write_text("b")
    second = fetch(own(scans), root)
    assert found(root) == {"images/a.png", "images/b.png"}
    assert second.sources[0].sha256 != first.sources[0].sha256
    (scans / "images/b.png").unlink()
    assert fetch(own(scans), root).sources == first.sources


def test_ones_own_archive_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "scans.zip").write_bytes(packed("images/a.png"))
    fetch(own(tmp_path / "scans.zip"), tmp_path / "data")
    assert found(tmp_path / "data") == {"images/a.png"}


def test_links_in_ones_own_folder_lead_to_files(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.png").write_text("far")
    (scans / "images/b.png").symlink_to(tmp_path / "elsewhere.png")
    fetch(own(scans), tmp_path / "data")
    placed = tmp_path / "data/raw/pictures/images/b.png"
    assert placed.read_text() == "far"
    assert not placed.is_symlink()
