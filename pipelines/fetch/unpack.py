"""Unpack an archive that may be broken or hostile."""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipelines.core.console import StageError, track
from pipelines.fetch.archives import Entry, entries_of

SMALL = 1 << 30
"""An archive may always unpack to this many bytes ..."""
RATIO = 100
"""... and to this many times its own size."""

LONGEST_NAME = 255
"""Bytes of a file's name, on every common file system."""

REMEDY = "Put a whole copy in its place; what can be downloaded is, when the file is not there."
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)
"""What Python's readers raise; a ValueError for names that are no UTF-8 and numbers that are none."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file or a tar archive, packed or not, into `folder`.

    Everything is checked before the first file is written: entries that lead out of the folder (`..`, absolute paths,
    drives; a backslash counts as a slash, as Windows writes it), links and devices, encrypted entries, two entries of
    one name, more bytes than the archive's size or the disk makes plausible, and the checksum of a packed tar archive.
    That of each entry of a zip file is verified while it is written; a bare tar archive has none.

    Raises:
        StageError: if the archive is truncated, damaged, or refused, one of its files is there already, or the disk
            refuses. The folder may then hold some of its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with entries_of(archive) as entries:
            places = [_place(archive, entry) for entry in entries]
            _refuse_overlap(archive, entries, places)
            _refuse_bomb(archive, entries, folder)
            for entry, place in track(zip(entries, places, strict=True), f"unpack {archive.name}", total=len(entries)):
                _write(entry, folder.joinpath(*place.parts))
    except DAMAGED as error:
        raise StageError(f"{archive}: truncated or damaged ({error}). {REMEDY}") from None
    except FileExistsError as error:
        name = Path(error.filename).relative_to(folder)
        raise StageError(
            f"{archive}: holds {str(name)!r}, as an archive before it does. Give its source another `into`."
        ) from None
    except OSError as error:
        if error.filename is None and error.errno in (None, errno.EINVAL):  # a damaged stream, or a place that is none
            raise StageError(f"{archive}: truncated or damaged ({error}). {REMEDY}") from None
        raise StageError(f"{error.filename or archive}: cannot be unpacked ({error.strerror}). Mend that.") from None


def _place(archive: Path, entry: Entry) -> PurePosixPath:
    """Where an entry goes, relative to the folder, if it may go there."""
    place, windows = PurePosixPath(entry.name), PureWindowsPath(entry.name)
    if place.is_absolute() or windows.drive or windows.root or ".." in place.parts:
        raise StageError(f"{archive}: the entry {entry.name!r} leads out of its folder. The archive is refused.")
    if "\0" in entry.name or any(len(os.fsencode(part)) > LONGEST_NAME for part in place.parts):
        raise StageError(f"{archive}: {entry.name[:80]!r} cannot be the name of a file here. Pack it with another one.")
    if entry.fault:
        raise StageError(f"{archive}: the entry {entry.name!r} {entry.fault}")
    return place


def _refuse_overlap(archive: Path, entries: Sequence[Entry], places: Sequence[PurePosixPath]) -> None:
    files = [place for entry, place in zip(entries, places, strict=True) if not entry.is_folder]
    seen: set[PurePosixPath] = set()
    for place in files:
        if not place.parts or place in seen or seen.intersection(place.parents):
            raise StageError(f"{archive}: the entry {str(place)!r} would overwrite another. The archive is refused.")
        seen.add(place)


def _refuse_bomb(archive: Path, entries: Sequence[Entry], folder: Path) -> None:
    total = sum(entry.size for entry in entries)
    packed = archive.stat().st_size
    if total > max(SMALL, RATIO * packed):
        raise StageError(
            f"{archive}: {packed:,} bytes that claim to unpack to {total:,}, more than {RATIO} times as much. "
            "The archive is refused."
        )
    free = shutil.disk_usage(folder).free
    if total > free:
        raise StageError(f"{folder}: the disk has {free:,} bytes left, {archive.name} needs {total:,}. Make room.")


def _write(entry: Entry, path: Path) -> None:
    if entry.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with entry.open() as packed, path.open("xb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
