"""Downloading from a real server on the loopback that misbehaves on request."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from random import Random

import pytest

from pipelines.core.console import StageError
from pipelines.datasets.entry import DatasetEntry
from pipelines.fetch import download as downloading
from pipelines.fetch.download import CHUNK, download
from pipelines.fetch.obtain import fetch
from tests.support.commands import wait_for
from tests.support.places import ROOT
from tests.support.site import SIGNATURE, Site

CONTENT = Random(0).randbytes(700_000)
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
CHILD = """
import sys
from pathlib import Path
from pipelines.datasets.entry import DatasetEntry
from pipelines.core.console import run_stage
from pipelines.fetch.obtain import fetch
run_stage(lambda: fetch(DatasetEntry.model_validate_json(sys.argv[1]), Path(sys.argv[2])))
"""
SLOWLY = """
import shutil, time
copy = shutil.copyfileobj
shutil.copyfileobj = lambda *arguments: (time.sleep(0.1), copy(*arguments))
"""


@pytest.fixture
def site(site: Site) -> Site:
    """The server with a file of 700,000 bytes."""
    site.content = CONTENT
    return site


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "pictures.zip"


def only(target: Path) -> bool:
    """The file is there, whole, and nothing else."""
    return target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]


def test_a_file_arrives(site: Site, target: Path) -> None:
    download(site.url, target, size=len(CONTENT), checksum=CHECKSUM)
    assert only(target)
    assert len(site.requests) == 1


@pytest.mark.parametrize("tag", ['"one"', 'W/"weak"', None])
def test_an_interrupted_download_is_resumed(site: Site, target: Path, tag: str | None) -> None:
    site.tag, site.cuts = tag, [4 * CHUNK, 3 * CHUNK]
    download(site.url, target, checksum=CHECKSUM)
    assert only(target)
    assert [request.get("Range") for request in site.requests] == [None, f"bytes={4 * CHUNK}-", f"bytes={7 * CHUNK}-"]


def test_without_tag_and_checksum_nothing_tells_that_it_is_the_same_file_so_it_starts_over(
    site: Site, target: Path
) -> None:
    site.tag, site.cuts = None, [300_000]
    download(site.url, target)
    assert only(target)
    assert [request.get("Range") for request in site.requests] == [None, None]


def test_a_file_that_changed_meanwhile_starts_over(site: Site, target: Path) -> None:
    target.parent.mkdir()
    Path(f"{target}.part").write_bytes(b"old" * 1000)
    Path(f"{target}.part.version").write_text(json.dumps('"zero"'))
    download(site.url, target)
    assert only(target)
    assert site.requests[0]["If-Range"] == '"zero"'


def test_a_server_that_ignores_if_range_does_not_get_two_versions_joined(site: Site, target: Path) -> None:
    site.heeds_if_range = False
    target.parent.mkdir()
    Path(f"{target}.part").write_bytes(b"old" * 1000)
    Path(f"{target}.part.version").write_text(json.dumps('"zero"'))
    download(site.url, target)
    assert only(target)
    assert [request.get("Range") for request in site.requests] == ["bytes=3000-", None]


def test_old_bytes_never_lie_beside_the_note_of_a_new_version(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.parent.mkdir()
    part, note = Path(f"{target}.part"), Path(f"{target}.part.version")
    part.write_bytes(b"old" * 1000)
    note.write_text(json.dumps('"zero"'))
    with monkeypatch.context() as patch:
        patch.setattr(downloading, "_save", _ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            download(site.url, target)
    assert (part.read_bytes(), json.loads(note.read_text())) == (b"", '"one"')
    download(site.url, target)
    assert only(target)


def _ctrl_c(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_server_without_ranges_starts_over(site: Site, target: Path) -> None:
    site.ranges, site.cuts = False, [300_000]
    download(site.url, target, checksum=CHECKSUM)
    assert only(target)


def test_a_rest_of_another_file_is_found_by_its_checksum(site: Site, target: Path) -> None:
    target.parent.mkdir()
    Path(f"{target}.part").write_bytes(b"x" * 1000)
    download(site.url, target, checksum=CHECKSUM)
    assert only(target)
    assert [request.get("Range") for request in site.requests] == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_killed_before_its_last_step_is_finished(site: Site, target: Path, size: int | None) -> None:
    target.parent.mkdir()
    Path(f"{target}.part").write_bytes(CONTENT)
    download(site.url, target, size=size, checksum=CHECKSUM)
    assert only(target)


@pytest.mark.parametrize("statuses", [[503], [500, 502, 429]])
def test_a_busy_server_is_asked_again(site: Site, target: Path, statuses: list[int]) -> None:
    site.statuses = list(statuses)
    download(site.url, target, checksum=CHECKSUM)
    assert only(target)
    assert len(site.requests) == len(statuses) + 1


def test_a_file_that_has_moved_is_followed(site: Site, target: Path) -> None:
    site.moved, site.cuts = 1, [4 * CHUNK]
    download(site.url, target, checksum=CHECKSUM)
    assert only(target)
    assert [request.get("Range") for request in site.requests] == [None, None, f"bytes={4 * CHUNK}-"]
    assert site.paths[1].endswith(SIGNATURE)


def test_a_file_that_moves_in_circles_is_given_up(site: Site, target: Path) -> None:
    site.moved = 1000
    with pytest.raises(StageError, match=r"pictures\.zip: cannot be requested \(Exceeded 30 redirects"):
        download(site.url, target)
    assert not list(target.parent.iterdir())


def test_a_slow_file_arrives_and_a_silent_server_is_asked_for_the_rest(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT", (5.0, 0.3))
    site.pause, site.cuts, site.stall = 0.05, [4 * CHUNK], threading.Event()
    download(site.url, target, checksum=CHECKSUM)
    assert only(target)
    assert [request.get("Range") for request in site.requests] == [None, f"bytes={4 * CHUNK}-"]


def test_a_server_that_stays_busy_is_given_up(site: Site, target: Path) -> None:
    site.statuses = [503] * 10
    with pytest.raises(StageError, match=r"pictures\.zip: given up after 4 attempts .*503 Service Unavailable"):
        download(site.url, target)
    assert len(site.requests) == downloading.ATTEMPTS
    assert not target.exists()


def test_a_server_that_always_breaks_off_at_the_same_byte_is_given_up(site: Site, target: Path) -> None:
    site.ranges, site.cuts = False, [300_000] * 10
    with pytest.raises(StageError, match="without progress"):
        download(site.url, target, checksum=CHECKSUM)
    assert len(site.requests) == 1 + downloading.ATTEMPTS


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(site: Site, target: Path, status: int) -> None:
    site.statuses = [status]
    with pytest.raises(StageError, match=f"the server answered {status}"):
        download(site.url, target)
    assert len(site.requests) == 1
    assert not list(target.parent.iterdir())


def test_a_wrong_checksum_leaves_nothing(site: Site, target: Path) -> None:
    with pytest.raises(StageError, match=f"another checksum. Expected md5:{'0' * 32}. Found md5:"):
        download(site.url, target, checksum="md5:" + "0" * 32)
    assert not list(target.parent.iterdir())
    assert len(site.requests) == 1


def test_a_wrong_length_is_told_before_the_download(site: Site, target: Path) -> None:
    with pytest.raises(StageError, match=r"another length. Expected 5 bytes. Found 700,000"):
        download(site.url, target, size=5)
    assert not list(target.parent.iterdir())


def test_nobody_there(site: Site, target: Path) -> None:
    with pytest.raises(StageError, match=r"given up after 4 attempts without progress .no connection"):
        download("http://127.0.0.1:9/pictures.zip", target)


def test_a_place_that_cannot_be_written_is_named(site: Site, target: Path) -> None:
    Path(f"{target}.part").mkdir(parents=True)
    with pytest.raises(StageError, match=r"pictures\.zip\.part: cannot be written"):
        download(site.url, target)


def archive(files: int = 3) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for number in range(files):
            opened.writestr(f"pictures/{number:04d}.png", CONTENT[:100_000])
    return packed.getvalue()


def entry(url: str, content: bytes) -> DatasetEntry:
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    source = {"kind": "archive", "url": url, "checksum": checksum, "bytes": len(content)}
    fields = {"title": "Pictures", "task": "segmentation", "classes": ["background", "lesion"], "labels": ["benign"]}
    fields |= {"channels": 1, "reader": "busi", "terms": "For tests only.", "citation": "Nobody (2026)."}
    return DatasetEntry.model_validate({**fields, "name": "pictures", "sources": [source]})


def spawn(wanted: DatasetEntry, root: Path, before: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", before + CHILD, wanted.model_dump_json(), str(root)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_data_set_is_downloaded_verified_and_unpacked(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.content, site.cuts = archive(), [100_000]
    wanted = entry(site.url, site.content)
    manifest = fetch(wanted, tmp_path)
    assert (manifest.provenance, manifest.files, manifest.bytes) == ("published", 3, 300_000)
    assert (tmp_path / "raw/pictures/pictures/0002.png").read_bytes() == CONTENT[:100_000]
    said = capsys.readouterr().out
    assert "For tests only." in said
    assert "Nobody (2026)." in said

    asked = len(site.requests)
    assert fetch(wanted, tmp_path) == manifest
    assert len(site.requests) == asked
    assert "already" in capsys.readouterr().out


def test_an_unreachable_publisher_says_what_to_do_by_hand(site: Site, tmp_path: Path) -> None:
    site.statuses = [404]
    wanted = entry(site.url, archive())
    with pytest.raises(StageError) as caught:
        fetch(wanted, tmp_path)
    place = tmp_path / "downloads" / "pictures.zip"
    for part in (
        site.url,
        "answered 404",
        f"place it at {place}",
        "DMF_DATA_MIRROR",
        "For tests only.",
        "Nobody (2026).",
    ):
        assert part in str(caught.value)
    assert wanted.sources[0].checksum in str(caught.value)

    place.write_bytes(archive())
    assert fetch(wanted, tmp_path).files == 3
    assert len(site.requests) == 1


@pytest.mark.slow
def test_killed_while_downloading_it_resumes(site: Site, tmp_path: Path) -> None:
    site.content, site.cuts, site.stall = archive(8), [600_000], threading.Event()
    wanted, part = entry(site.url, site.content), tmp_path / "downloads/pictures.zip.part"
    child = spawn(wanted, tmp_path)
    wait_for(lambda: part.exists() and part.stat().st_size > 0, child)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    site.stall.set()
    assert not (tmp_path / "raw/pictures").exists()
    assert not (tmp_path / "downloads/pictures.zip").exists()

    assert fetch(wanted, tmp_path).files == 8
    assert site.requests[-1]["Range"] == f"bytes={int(site.requests[-1]['Range'][6:-1])}-" != "bytes=0-"


@pytest.mark.slow
def test_killed_while_unpacking_nothing_looks_finished(site: Site, tmp_path: Path) -> None:
    content = archive(30)
    wanted, place = entry(site.url, content), tmp_path / "downloads" / "pictures.zip"
    place.parent.mkdir()
    place.write_bytes(content)
    child = spawn(wanted, tmp_path, SLOWLY)
    wait_for(lambda: len(list((tmp_path / "raw").rglob("*.png"))) >= 2, child)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (tmp_path / "raw/pictures").exists()

    assert fetch(wanted, tmp_path).files == 30
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["pictures"]
    assert not site.requests


@pytest.mark.slow
def test_two_processes_at_once_share_one_download(site: Site, tmp_path: Path) -> None:
    site.content = archive(8)
    wanted = entry(site.url, site.content)
    children = [spawn(wanted, tmp_path, SLOWLY) for _ in range(2)]
    said = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert sum("already" in text for text in said) == 1
    assert len(site.requests) == 1
    assert len(list((tmp_path / "raw/pictures").rglob("*.png"))) == 8
