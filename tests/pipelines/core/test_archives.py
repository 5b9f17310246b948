"""Files out of tar archives."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pipelines.core.archives import extract


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as written:
        for member, data in members:
            member.size = len(data)
            written.addfile(member, io.BytesIO(data))
    content.seek(0)
    return tarfile.open(fileobj=content)


def test_files_come_out_where_their_names_say(tmp_path: Path) -> None:
    extract(archive_of((tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("b/c/d"), b"2" * 5000)), tmp_path)
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "b/c/d").read_bytes() == b"2" * 5000


def link() -> tarfile.TarInfo:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, "elsewhere"
    return member


@pytest.mark.parametrize("member", [tarfile.TarInfo("../outside"), tarfile.TarInfo("/outside"), link()])
def test_what_belongs_into_no_folder_is_refused(member: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(tarfile.TarError, match="no file that belongs into a folder"):
        extract(archive_of((member, b"")), tmp_path)
    assert list(tmp_path.iterdir()) == []
