"""Unpack an archive that may be broken or hostile."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipelines.core.console import StageError, track

SMALL = 1 << 30
"""An archive may always unpack to this many bytes ..."""
RATIO = 100
"""... and to this many times its own size."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into `folder`.

    Everything is checked before the first file is written: entries that lead out of the folder (`..`, absolute paths,
    drives), links and devices, encrypted entries, two entries of one name, and more bytes than the archive's size or
    the disk makes plausible. The checksum of each entry is verified while it is written.

    Raises:
        StageError: if the archive is truncated, damaged, or refused, one of its files is there already, or the disk
            refuses. The folder may then hold some of its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            places = [_place(archive, entry) for entry in entries]
            _refuse_overlap(archive, entries, places)
            _refuse_bomb(archive, entries, folder)
            for entry, place in track(zip(entries, places, strict=True), f"unpack {archive.name}", total=len(entries)):
                _write(opened, entry, folder.joinpath(*place.parts))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise StageError(
            f"{archive}: truncated, damaged or not a zip file ({error}). Remove it, fetch again."
        ) from None
    except FileExistsError as error:
        name = Path(error.filename).relative_to(folder)
        raise StageError(
            f"{archive}: holds {str(name)!r}, as an archive before it does. Give its source another `into`."
        ) from None
    except OSError as error:
        raise StageError(f"{error.filename or archive}: cannot be unpacked ({error.strerror}). Mend that.") from None


def _place(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Where an entry goes, relative to the folder, if it may go there."""
    name = entry.filename
    place = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if place.is_absolute() or windows.drive or windows.root or "\\" in name or ".." in place.parts or not place.parts:
        raise StageError(f"{archive}: the entry {name!r} leads out of its folder. The archive is refused.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise StageError(f"{archive}: the entry {name!r} is a link or a device. The archive is refused.")
    if entry.flag_bits & 0x1:
        raise StageError(f"{archive}: the entry {name!r} is encrypted. Unpack it by hand and pack it again without.")
    return place


def _refuse_overlap(archive: Path, entries: list[zipfile.ZipInfo], places: list[PurePosixPath]) -> None:
    files = [place for entry, place in zip(entries, places, strict=True) if not entry.is_dir()]
    seen: set[PurePosixPath] = set()
    for place in files:
        if place in seen or seen.intersection(place.parents):
            raise StageError(f"{archive}: the entry {str(place)!r} would overwrite another. The archive is refused.")
        seen.add(place)


def _refuse_bomb(archive: Path, entries: list[zipfile.ZipInfo], folder: Path) -> None:
    total = sum(entry.file_size for entry in entries)
    packed = archive.stat().st_size
    if total > max(SMALL, RATIO * packed):
        raise StageError(
            f"{archive}: {packed:,} bytes that claim to unpack to {total:,}, more than {RATIO} times as much. "
            "The archive is refused."
        )
    free = shutil.disk_usage(folder).free
    if total > free:
        raise StageError(f"{folder}: the disk has {free:,} bytes left, {archive.name} needs {total:,}. Make room.")


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as packed, path.open("xb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
