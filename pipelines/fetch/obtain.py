"""Fetch one data set: from what lies there, the mirror, a file placed by hand, the network, or the simulator."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.catalogue import Archive, DatasetEntry, Generated
from pipelines.console import StageError, say
from pipelines.fetch.download import digest, download
from pipelines.fetch.manifest import MANIFEST, FetchedFile, Manifest, fingerprint, measure, read_manifest
from pipelines.fetch.mirror import VARIABLE, Mirror
from pipelines.fetch.phantom import generate
from pipelines.fetch.unpack import unpack


def fetch(entry: DatasetEntry, root: Path, mirror: Mirror | None = None) -> Manifest:
    """Bring a data set to `root/raw/<name>`; does nothing if it is there already.

    The folder appears in one step when it is complete, with a manifest in it. Archives stay in `root/downloads`.
    A mirror that holds the data set is used instead of the network. Two processes may do this at once: one waits.

    Args:
        entry: The data set's entry in the catalogue.
        root: The data folder.
        mirror: Copies of data sets, see `load_mirror`.

    Returns:
        The manifest, which tells the provenance.

    Raises:
        StageError: if a source cannot be had or is not what the catalogue says. What was there before stays.
    """
    folder = root / "raw" / entry.name
    with _alone(root / "downloads" / f".{entry.name}.lock", entry.name):
        if standing := _standing(entry, root, folder):
            say(f"{entry.name}: {standing.files:,} files are in {folder} already ({_origin(standing)}).")
            return standing
        say(f"{entry.name}: {entry.title}\n  Terms: {entry.terms}\n  Please cite: {entry.citation}")
        staging = folder.with_name(f".{entry.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            manifest = _fill(staging, entry, root, mirror)
            (staging / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
            _replace(folder, staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        say(f"{entry.name}: {manifest.files:,} files in {folder} ({_origin(manifest)}).")
        return manifest


def _standing(entry: DatasetEntry, root: Path, folder: Path) -> Manifest | None:
    """The manifest of an earlier fetch that is still what the catalogue describes and has lost no file."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    if not (folder / MANIFEST).exists():
        raise StageError(f"{folder}: not empty and not fetched by this stage (no {MANIFEST}). Move it away.")
    manifest = read_manifest(root, entry.name)
    same = manifest.fingerprint == fingerprint(entry) and (manifest.files, manifest.bytes) == measure(folder)
    return manifest if same else None


def _fill(staging: Path, entry: DatasetEntry, root: Path, mirror: Mirror | None) -> Manifest:
    copy = mirror.copies.get(entry.name) if mirror else None
    files = []
    if mirror and copy:
        archive = mirror.folder / copy.file
        _verify(archive, f"sha256:{copy.sha256}", f"as {mirror.folder / 'mirror.yaml'} says")
        unpack(archive, staging)
        files.append(_describe(archive, f"mirror: {copy.file}"))
    else:
        for source in entry.sources:
            if isinstance(source, Generated):
                generate(staging, source.count, source.seed)
            else:
                archive = _archive(source, entry, root / "downloads")
                unpack(archive, staging)
                files.append(_describe(archive, source.address))
                if source.checksum is None:
                    _record(archive).write_text(f"sha256:{files[-1].sha256}\n")
    count, size = measure(staging)
    return Manifest(
        dataset=entry.name,
        provenance="mirror" if copy else "published" if files else "generated",
        reduced=copy.reduced if copy else None,
        sources=tuple(files),
        fingerprint=fingerprint(entry),
        files=count,
        bytes=size,
        terms=entry.terms,
        citation=entry.citation,
    )


def _archive(source: Archive, entry: DatasetEntry, downloads: Path) -> Path:
    """The verified archive in the downloads folder, placed there by hand or downloaded now."""
    target = downloads / source.file
    record = _record(target)
    checksum = source.checksum or (record.read_text().strip() if record.exists() else None)
    if not target.exists():
        try:
            if source.url is None:
                raise StageError(f"{entry.name}: {source.file} cannot be downloaded by a program.")
            download(source.url, target, size=source.bytes, checksum=checksum)
        except StageError as error:
            raise StageError(f"{error}\n{_by_hand(source, entry, target)}") from None
    elif checksum:
        remedy = f"Remove it, and it is fetched from {source.address} again"
        _verify(target, checksum, f"as the catalogue says. {remedy}; a reduced copy belongs in a mirror ({VARIABLE})")
    return target


def _record(archive: Path) -> Path:
    """Beside an archive: the checksum that it had when it was fetched first."""
    return archive.with_name(f"{archive.name}.checksum")


def _verify(path: Path, checksum: str, origin: str) -> None:
    if not path.is_file():
        raise StageError(f"{path}: no such file, {origin}.")
    found = digest(path, checksum.split(":")[0])
    if found != checksum:
        raise StageError(f"{path}: wrong checksum. Found {found}. Expected {checksum}, {origin}.")


def _by_hand(source: Archive, entry: DatasetEntry, target: Path) -> str:
    size = f", {source.bytes:,} bytes" if source.bytes else ""
    checksum = f", {source.checksum}" if source.checksum else ""
    return (
        f"To go on by hand, get {source.address}{size}{checksum}\n"
        f"  and place it at {target}; or set {VARIABLE} to a folder whose mirror.yaml has `{entry.name}`.\n"
        f"  Terms: {entry.terms}\n"
        f"  Please cite: {entry.citation}"
    )


def _describe(archive: Path, address: str) -> FetchedFile:
    sha256 = digest(archive).removeprefix("sha256:")
    return FetchedFile(file=archive.name, address=address, sha256=sha256, bytes=archive.stat().st_size)


def _origin(manifest: Manifest) -> str:
    return manifest.provenance + (f", {manifest.reduced}" if manifest.reduced else "")


def _replace(folder: Path, staging: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(staging, folder)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(lock: Path, name: str) -> Iterator[None]:
    """Keep other processes out; the system lets go of the lock even if this one is killed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another process is fetching it; waiting ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
