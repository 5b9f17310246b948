"""Unpacking: what is harmless comes out byte for byte, what is hostile or broken is refused."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipelines.core.console import StageError
from pipelines.fetch import unpack as unpacking
from pipelines.fetch.unpack import unpack
from tests.support.mutations import mutated

MODES = ("w:", "w:gz", "w:bz2", "w:xz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner" / "out").mkdir(parents=True)
    return tmp_path / "inner" / "out"


def pack(path: Path, method: int = zipfile.ZIP_DEFLATED, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_files_and_folders_come_out(tmp_path: Path, folder: Path) -> None:
    archive = pack(tmp_path / "a.zip", **{"deep/": b"", "deep/er/benign (1).png": b"\x00\xff", "empty": b""})
    unpack(archive, folder)
    assert (folder / "deep/er/benign (1).png").read_bytes() == b"\x00\xff"
    assert (folder / "empty").read_bytes() == b""


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "C:evil", "..\\evil", "\\\\host\\evil", "//host/x/evil", ".."],
)
def test_an_entry_that_leads_out_is_refused_before_anything_is_written(tmp_path: Path, folder: Path, name: str) -> None:
    archive = pack(tmp_path / "a.zip", harmless=b"1", **{name: b"2"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StageError, match="leads out of its folder"):
        unpack(archive, folder)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, folder: Path, kind: int) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(StageError, match="link or a device"):
        unpack(tmp_path / "a.zip", folder)
    assert not any(folder.iterdir())


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "./a"), ("a", "a/b")])
def test_no_entry_overwrites_another(tmp_path: Path, folder: Path, names: tuple[str, str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    with pytest.raises(StageError, match="would overwrite another"):
        unpack(tmp_path / "a.zip", folder)


def test_a_bomb_is_refused(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 1000)
    with pytest.raises(StageError, match="claim to unpack to 1,000,000, more than 100 times"):
        unpack(pack(tmp_path / "a.zip", zeros=bytes(1_000_000)), folder)
    assert not any(folder.iterdir())


def test_a_lie_about_the_size_is_found(tmp_path: Path, folder: Path) -> None:
    archive = pack(tmp_path / "a.zip", zeros=bytes(100_000))
    content = archive.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(content)
    with pytest.raises(StageError, match="damaged"):
        unpack(archive, folder)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.98])
def test_a_truncated_archive_is_named(tmp_path: Path, folder: Path, keep: float) -> None:
    archive = pack(tmp_path / "a.zip", a=bytes(range(256)) * 20)
    archive.write_bytes(archive.read_bytes()[: int(keep * archive.stat().st_size)])
    with pytest.raises(StageError, match=r"a\.zip: (truncated or damaged|the file is empty)"):
        unpack(archive, folder)


def test_a_flipped_byte_is_found(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"picture")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"picture", b"pictvre"))
    with pytest.raises(StageError, match="Bad CRC-32"):
        unpack(tmp_path / "a.zip", folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_damaged_stream_is_named_however_it_was_packed(tmp_path: Path, folder: Path, method: int) -> None:
    archive = pack(tmp_path / "a.zip", method, a=random.Random(0).randbytes(3000))
    content = bytearray(archive.read_bytes())
    content[60:200] = bytes(140)
    archive.write_bytes(content)
    with pytest.raises(StageError, match=r"a\.zip: truncated or damaged \((Corrupt|Invalid data|Error -3|Bad CRC)"):
        unpack(archive, folder)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_flipped_bit_in_a_packed_tar_is_found_before_anything_is_written(
    tmp_path: Path, folder: Path, mode: str
) -> None:
    """Noise is stored as it is, so that nothing but the checksum at the end tells."""
    archive = tar(tmp_path / "a.tar.x", mode, **{"a.png": random.Random(0).randbytes(5000)})
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(StageError, match=r"a\.tar\.x: (truncated or damaged|it is packed by .*, or damaged)"):
        unpack(archive, folder)
    assert not any(folder.iterdir())


@pytest.mark.parametrize("name", ["n" * 256, "deep/" + "ü" * 128 + "/a.png"])
def test_a_name_that_no_file_can_have_is_named(tmp_path: Path, folder: Path, name: str) -> None:
    for archive in (pack(tmp_path / "a.zip", **{name: b"1"}), tar(tmp_path / "a.tar.gz", **{name: b"1"})):
        with pytest.raises(StageError, match=rf"{archive.name}: '.* cannot be the name of a file here. Pack it with"):
            unpack(archive, folder)
    assert not any(folder.iterdir())


def test_a_zero_in_a_name_is_no_end_of_it(tmp_path: Path, folder: Path) -> None:
    entry = tarfile.TarInfo("a.png")
    entry.pax_headers = {"path": "a.png\0.exe"}
    with pytest.raises(StageError, match=r"'a\.png\\x00\.exe' cannot be the name of a file here"):
        unpack(tar(tmp_path / "a.tar", "w", a=entry), folder)


def test_a_name_that_is_no_utf8_though_the_archive_says_so_is_damage(tmp_path: Path, folder: Path) -> None:
    archive = pack(tmp_path / "a.zip", **{"ü.png": b"1"})
    archive.write_bytes(archive.read_bytes().replace("ü".encode(), b"\xff\xfe"))
    with pytest.raises(StageError, match=r"a\.zip: truncated or damaged \(.*can't decode byte 0xff"):
        unpack(archive, folder)


def test_a_number_that_is_none_is_damage(tmp_path: Path, folder: Path) -> None:
    entry = tarfile.TarInfo("a.png")
    entry.pax_headers = {"GNU.sparse.map": "0,many", "GNU.sparse.size": "9"}
    with pytest.raises(StageError, match=r"a\.tar: truncated or damaged \(invalid literal"):
        unpack(tar(tmp_path / "a.tar", "w", a=entry), folder)


def test_an_encrypted_entry_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = pack(tmp_path / "a.zip", a=b"1")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(StageError, match="encrypted"):
        unpack(archive, folder)


def tar(path: Path, mode: str = "w:gz", **files: bytes | tarfile.TarInfo) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name) if isinstance(content, bytes) else content
            entry.size = len(content) if isinstance(content, bytes) else 0
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_tar_archives_are_unpacked_packed_or_not(tmp_path: Path, folder: Path, mode: str) -> None:
    unpack(tar(tmp_path / "a.bin", mode, **{"./deep/er/benign (1).png": b"\x00\xff", "empty": b""}), folder)
    assert (folder / "deep/er/benign (1).png").read_bytes() == b"\x00\xff"
    assert (folder / "empty").read_bytes() == b""


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil"])
def test_a_tar_leads_nowhere_else_either(tmp_path: Path, folder: Path, name: str) -> None:
    with pytest.raises(StageError, match="leads out of its folder"):
        unpack(tar(tmp_path / "a.tar.gz", harmless=b"1", **{name: b"2"}), folder)
    assert not any(folder.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, folder: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(StageError, match="'link' is a link or a device"):
        unpack(tar(tmp_path / "a.tar", "w", link=link), folder)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9])
def test_a_tar_that_is_cut_is_named(tmp_path: Path, folder: Path, mode: str, keep: float) -> None:
    content = bytes(value * value % 251 for value in range(20_000))
    archive = tar(tmp_path / "a.tar.x", mode, **{f"{number}.png": content[number:] for number in range(9)})
    archive.write_bytes(archive.read_bytes()[: int(keep * archive.stat().st_size)])
    with pytest.raises(StageError, match=r"a\.tar\.x: .*(damaged|empty|no zip or tar archive)"):
        unpack(archive, folder)


def test_a_backslash_is_a_slash_as_windows_writes_it(tmp_path: Path, folder: Path) -> None:
    unpack(pack(tmp_path / "a.zip", **{"images\\": b"", "images\\benign\\a.png": b"1", "masks\\a.png": b"2"}), folder)
    assert (folder / "images/benign/a.png").read_bytes() == b"1"
    assert (folder / "masks/a.png").read_bytes() == b"2"


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (93, "Zstandard"), (77, "an unknown method")])
def test_a_method_that_is_not_read_is_named(tmp_path: Path, folder: Path, method: int, name: str) -> None:
    """Windows packs a folder of more than 2 GB by Deflate64."""
    archive = pack(tmp_path / "a.zip", **{"a.png": b"picture"})
    content = bytearray(archive.read_bytes())
    content[8:10] = method.to_bytes(2, "little")
    place = content.index(b"PK\x01\x02") + 10
    content[place : place + 2] = method.to_bytes(2, "little")
    archive.write_bytes(content)
    with pytest.raises(StageError, match=rf"'a\.png' is packed by {name} \(method {method}\).* Unpack it by hand"):
        unpack(archive, folder)


@pytest.mark.parametrize(
    ("content", "said"), [(b"Rar!\x1a\x07\x01\x00", "a RAR archive"), (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive")]
)
def test_an_archive_of_another_kind_is_named(tmp_path: Path, folder: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(StageError, match=rf"a\.zip: it is {said}. Expected a folder, or a zip or tar archive"):
        unpack(tmp_path / "a.zip", folder)


def test_five_hundred_damaged_archives_are_unpacked_or_answered_in_one_sentence(tmp_path: Path) -> None:
    files = {f"images/{number}.png": bytes(value % 251 for value in range(100 * number)) for number in range(5)}
    whole = [pack(tmp_path / "a.zip", **files), *(tar(tmp_path / f"a.{mode[2:]}", mode, **files) for mode in MODES)]
    contents, chance = [archive.read_bytes() for archive in whole], random.Random(0)
    archive, read, answers = tmp_path / "inner" / "b", 0, []
    for number in range(500):
        folder = tmp_path / "inner" / str(number)
        folder.mkdir(parents=True)
        archive.write_bytes(mutated(contents[number % len(contents)], chance))
        try:
            unpack(archive, folder)
        except StageError as error:
            answers.append(str(error))
        else:
            read += 1
    inside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert inside == {"inner", *(path.name for path in whole)}
    assert all("\n" not in answer and "inner" in answer for answer in answers)
    assert min(read, len(answers)) > 30
