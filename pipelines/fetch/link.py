"""A folder of the person's own becomes a data set without taking room twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipelines.core.checksums import digest
from pipelines.core.console import StageError, track
from pipelines.core.files import is_left_behind, link_or_copy


def link_folder(source: Path, folder: Path) -> None:
    """Let `folder` hold the files of `source`: hard links where the file system allows them, else copies.

    Hidden files and what systems leave there are not seen; links to files are followed, those to folders are not.

    Raises:
        StageError: if there is no such folder, no file in it, `folder` itself is in it, or a file cannot be read.
    """
    if not source.is_dir():
        raise StageError(f"{source}: no such folder. Correct the path, or bring the folder back.")
    if folder.resolve().is_relative_to(source.resolve()):
        raise StageError(f"{source}: holds the data folder itself. Name the folder that holds nothing but the images.")
    files = list(_files(source))
    if not files:
        raise StageError(f"{source}: no file in it. Place the data set there.")
    for path in track(files, f"link {source.name}", unit="files"):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            link_or_copy(path.resolve(strict=True), target)
        except OSError as error:
            raise StageError(f"{path}: cannot be read ({error.strerror}). Mend it or move it elsewhere.") from None


def state(path: Path) -> str:
    """Changes when a file of a folder, or the file at `path` itself, comes, goes or is written to."""
    lines = []
    for file in _files(path) if path.is_dir() else [path]:
        seen = file.stat() if file.exists() else None
        lines.append(f"{file.relative_to(path)} {(seen.st_size, seen.st_mtime_ns) if seen else 'missing'}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def folder_digest(folder: Path) -> tuple[str, int]:
    """SHA-256 over names and contents of all files of a folder, and their bytes in all."""
    joint, size = hashlib.sha256(), 0
    for path in _files(folder):
        joint.update(f"{path.relative_to(folder).as_posix()} {digest(path)}\n".encode())
        size += path.stat().st_size
    return joint.hexdigest(), size


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_left_behind(name))
        yield from (Path(place, name) for name in sorted(names) if not is_left_behind(name))
