"""Bring one file of a data set to the downloads folder: it lies there, a service has it, or the person must help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.core.checksums import digest
from pipelines.core.console import StageError, say
from pipelines.core.files import write_atomically
from pipelines.core.locks import alone
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.sources import Archive, Download, Kaggle, Manual, Zenodo
from pipelines.fetch.download import download
from pipelines.fetch.kaggle_client import from_kaggle
from pipelines.fetch.mirror import VARIABLE
from pipelines.fetch.zenodo import from_zenodo


def bring(source: Download, entry: DatasetEntry, downloads: Path) -> Path:
    """The verified file, or a folder that a person has unpacked by hand, in the downloads folder.

    Raises:
        StageError: if it cannot be had, saying what to do by hand, or is not what the catalogue says.
    """
    with alone(downloads / f".{source.file}.download.lock", source.file):  # another data set may have the same source
        return _bring(source, entry, downloads / source.file)


def remember(source: Download, target: Path, sha256: str) -> None:
    """Keep the checksum of a file that could be unpacked, if the catalogue knows none, to verify it ever after."""
    if source.checksum is None and not _record(target).exists():
        write_atomically(_record(target), lambda partial: partial.write_text(f"sha256:{sha256}\n"))
        say(
            f"  {target.name}: the catalogue knows no checksum of it. sha256:{sha256} is on record in "
            f"{_record(target)}: from now on another file is refused."
        )


def verify(path: Path, checksum: str, origin: str) -> None:
    """Raises StageError, saying where the checksum is from, if the file is missing or has another one."""
    if not path.is_file():
        raise StageError(f"{path}: no such file, {origin}.")
    found = digest(path, checksum.split(":")[0])
    if found != checksum:
        raise StageError(f"{path}: wrong checksum. Found {found}. Expected {checksum}, {origin}.")


def _bring(source: Download, entry: DatasetEntry, target: Path) -> Path:
    checksum, witness = _expected(source, target)
    if isinstance(source, Manual):
        target = next((path for path in (target, Path(f"{target}.zip")) if path.exists()), target)
    if not target.exists():
        try:
            SERVICES[type(source)](source, target, checksum)
        except StageError as error:
            raise StageError(f"{error}\n{_by_hand(source, entry, target, checksum, witness)}") from None
    if target.is_file() and checksum:
        remedy = f"Remove it, and it is fetched from {source.address} again"
        verify(target, checksum, f"{witness}. {remedy}; a reduced copy belongs in a mirror ({VARIABLE})")
    return target


def _expected(source: Download, target: Path) -> tuple[str | None, str]:
    """The checksum that a file must have, if one is known, and who says so."""
    record = _record(target)
    if source.checksum is None and record.exists():
        return record.read_text().strip(), f"as when it was first fetched; to take another version, remove {record}"
    return source.checksum, "as the catalogue says"


def _from_address(source: Archive, target: Path, checksum: str | None) -> None:
    download(source.url, target, size=source.bytes, checksum=checksum)


def _from_a_person(source: Manual, target: Path, checksum: str | None) -> None:
    raise StageError(f"{source.file} cannot be downloaded by a program. {source.how}")


SERVICES: Mapping[type[Download], Callable[[Any, Path, str | None], None]] = {
    Archive: _from_address,
    Kaggle: from_kaggle,
    Manual: _from_a_person,
    Zenodo: from_zenodo,
}


def _record(target: Path) -> Path:
    """Beside a file: the checksum that it had when it was fetched first."""
    return target.with_name(f"{target.name}.checksum")


def _by_hand(source: Download, entry: DatasetEntry, target: Path, checksum: str | None, witness: str) -> str:
    name = entry.sources_of or entry.name
    size = f", {source.bytes:,} bytes" if source.bytes else ""
    wanted = f", {checksum} ({witness})" if checksum else ""
    return (
        f"To go on by hand, get {source.address}{size}{wanted}\n"
        f"  and place it at {target}; or set {VARIABLE} to a folder whose mirror.yaml has `{name}`.\n"
        f"  Terms: {entry.terms}\n"
        f"  Please cite: {entry.citation}"
    )
