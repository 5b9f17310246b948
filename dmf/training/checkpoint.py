"""A trial's state on disk: written whole or not at all, and told from anything else when it is read."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch

DIGEST = hashlib.sha256().digest_size


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write `Trial.state_dict()` and its SHA-256 to a file; an older one is replaced once the new one is complete.

    It goes to the disk while it is packed, so that a large state is not in memory twice.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            content = _Hashed(file)
            torch.save(state, cast("IO[bytes]", content))
            file.write(content.sha256.digest())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU; only tensors and plain values are read, never code.

    Raises:
        ValueError: if the file is damaged or something else.
        FileNotFoundError: if there is none.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = _Beginning(file, max(0, size - DIGEST))
        found = hashlib.file_digest(content, "sha256").digest()
        file.seek(content.size)
        if file.read() != found:
            raise ValueError(
                f"{path} must end with the SHA-256 of what precedes. Found {size} bytes that do not: it is "
                "damaged, or no checkpoint of a trial. Delete it, and the trial starts again."
            )
        content.seek(0)
        return torch.load(io.BufferedReader(content), map_location="cpu", weights_only=True)


class _Hashed:
    """A file that is written to, and the SHA-256 of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


class _Beginning(io.RawIOBase):
    """The first bytes of a file, as if there were no others."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = max(0, self.size - self._file.tell())
        content = self._file.read(min(len(buffer), room))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self.size + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def require_same_trial(state: object, expected: Mapping[str, Any]) -> None:
    """Raise a ValueError unless `state` has the entries and the spec of `expected`, the state of a trial."""
    if not isinstance(state, Mapping) or state.keys() != expected.keys():
        found = ", ".join(map(str, state)) or "nothing" if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"A checkpoint must hold {', '.join(expected)}. Found {found}.")
    found_spec, spec = state["spec"], expected["spec"]
    if differing := [name for name in spec if found_spec.get(name) != spec[name]]:
        found = ", ".join(f"{name}={found_spec.get(name)!r}" for name in differing)
        raise ValueError(f"The checkpoint must be of this trial's spec. Found {found}.")
