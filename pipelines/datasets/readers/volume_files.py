"""Files of volumes: who reads which, the files that a header points to, and the checksum of them all."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from pipelines.core.checksums import file_checksum, joint_checksum
from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import Header, damaged
from pipelines.datasets.readers.folders import VOLUMES
from pipelines.datasets.readers.metaimage import read_metaimage
from pipelines.datasets.readers.nifti import read_nifti
from pipelines.datasets.readers.nrrd import read_nrrd

READERS: dict[str, Callable[[Path], Header]] = {
    **dict.fromkeys((".nii", ".nii.gz", ".hdr"), read_nifti),
    **dict.fromkeys((".mha", ".mhd"), read_metaimage),
    **dict.fromkeys((".nrrd", ".nhdr"), read_nrrd),
}

DETACHED = (".mhd", ".hdr", ".nhdr")
"""How the names of headers end whose voxels are in another file."""


def is_volume(path: Path) -> bool:
    """Whether its name says that a file is a volume."""
    return path.name.lower().endswith(VOLUMES)


def read_header(path: Path) -> Header:
    """What a file says of its volume, by the suffix of its name.

    Raises:
        StageError: if there is no such file, it cannot be read, or it is of a kind that is not read.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. Bring it back.")
    read = next((read for end, read in READERS.items() if path.name.lower().endswith(end)), None)
    if read is None:
        raise damaged(path, "its name does not say which format it is")
    try:
        return read(path)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from None


def files_of(path: Path) -> tuple[Path, ...]:
    """A file, and the one with its voxels if it is a header that points to another.

    Raises:
        StageError: if it is such a header, and cannot be read.
    """
    if not path.name.lower().endswith(DETACHED):
        return (path,)
    return tuple(dict.fromkeys((path, read_header(path).block.file)))


def stored_checksum(path: Path) -> str:
    """SHA-256 of a file, or of a header together with the file that it points to.

    Raises:
        StageError: if a header cannot be read, or points to no file.
    """
    files = files_of(path)
    if len(files) == 1:
        return file_checksum(path)
    if not files[1].is_file():
        raise StageError(f"{files[1]}: no such file, but {path.name} points to it. Place it there.")
    return joint_checksum({file.relative_to(path.parent).as_posix(): file_checksum(file) for file in files})
