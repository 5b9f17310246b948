"""Checksums of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file as `algorithm:hex`."""
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def joint_checksum(sha256: Mapping[str, str]) -> str:
    """One checksum for several files, whatever the order in which they are listed."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(sha256.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
