"""What an archive holds, zip or tar alike: entries by name and size, and how each is written."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines.core.console import StageError

SIGNATURES = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"(\xb5\x2f\xfd": "packed by Zstandard",
    **{
        signature: f"packed by {name}, but no tar archive, or damaged"
        for signature, name in {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}.items()
    },
}
"""What other archives begin with."""

METHODS = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES encryption"}
"""Compression methods of zip files, by the format's number, that Python's standard library lacks."""

READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 0x1

ACCEPTED = "Expected a folder, or a zip or tar archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)."


@dataclass(frozen=True)
class Entry:
    """One entry of an archive.

    Attributes:
        name: With slashes, whatever wrote it; a folder's ends with one.
        size: Bytes once unpacked.
        open: Gives its content.
        fault: Why it cannot be unpacked, and what to do; empty if it can.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    fault: str = ""

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


@contextmanager
def entries_of(archive: Path) -> Iterator[list[Entry]]:
    """The entries of an archive that is open while the block runs.

    Raises:
        StageError: if it is neither zip nor tar, saying what it is instead.
        zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError: if it is damaged.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield [_of_zip(packed, info) for info in packed.infolist()]
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            entries = [_of_tar(tar, info) for info in tar]
            _read_to_the_end(tar)
            yield entries
    else:
        raise StageError(f"{archive}: {_kind(archive)}. {ACCEPTED}")


def _of_zip(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    kind, fault = stat.S_IFMT(info.external_attr >> 16), ""
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        fault = "is a link or a device. The archive is refused."
    elif info.flag_bits & ENCRYPTED:
        fault = "is encrypted. Unpack it by hand and pack it again without."
    elif info.compress_type not in READ:
        method = METHODS.get(info.compress_type, "an unknown method")
        fault = (
            f"is packed by {method} (method {info.compress_type}), which is not read. Unpack it by hand, with 7-Zip or "
            "unzip, and name the folder, or pack it again as a common zip or tar.gz."
        )
    return Entry(info.filename.replace("\\", "/"), info.file_size, lambda: packed.open(info), fault)


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Entry:
    def content() -> IO[bytes]:
        found = tar.extractfile(info)
        if found is None:
            raise tarfile.TarError(f"{info.name} has no content")
        return found

    known = info.isreg() or info.isdir()
    name = info.name.replace("\\", "/") + ("/" if info.isdir() else "")
    return Entry(name, info.size, content, "" if known else "is a link or a device. The archive is refused.")


def _read_to_the_end(tar: tarfile.TarFile) -> None:
    """What packed it wrote a checksum of all after the last entry; it is compared when it is read."""
    if tar.fileobj is not None:
        while tar.fileobj.read(1 << 20):
            pass


def _kind(archive: Path) -> str:
    with archive.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"PK"):
        raise zipfile.BadZipFile("the list of its entries, at its end, is missing")
    if not start:
        return "the file is empty"
    known = (kind for signature, kind in SIGNATURES.items() if start.startswith(signature))
    if kind := next(known, None):
        return f"it is {kind}"
    return f"no zip or tar archive (it begins with {start[:8]!r})"
