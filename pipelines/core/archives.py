"""Files out of tar archives."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Every file of an archive, into a folder that is there.

    `TarFile.extractall` would do it with `filter="data"`, which came with Python 3.11.4: Debian 12's is older.

    Raises:
        tarfile.TarError: for anything but files and folders inside of `folder`.
    """
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is no file that belongs into a folder")
        place = folder / name
        content = archive.extractfile(member)
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
