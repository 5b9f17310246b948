"""Fetch one data set: from what lies there, the mirror, files placed by hand, the network, or the simulator."""

from __future__ import annotations

from pathlib import Path

from pipelines.artifacts.manifest import (
    MANIFEST,
    FetchedFile,
    Manifest,
    Provenance,
    manifest_path,
    read_manifest,
    write_manifest,
)
from pipelines.core.checksums import digest
from pipelines.core.console import StageError, say
from pipelines.core.files import replaced
from pipelines.core.locks import alone
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.sources import Generated, Local
from pipelines.fetch import phantom, phantom3d
from pipelines.fetch.bring import bring, remember, verify
from pipelines.fetch.fingerprint import fingerprint, measure
from pipelines.fetch.link import folder_digest, link_folder
from pipelines.fetch.mirror import Copy, Mirror
from pipelines.fetch.unpack import unpack

SIMULATORS = {"phantom": phantom.generate, "phantom3d": phantom3d.generate}


def fetch(entry: DatasetEntry, root: Path, mirror: Mirror | None = None) -> Manifest:
    """Bring a data set to `root/raw/<name>`; if it is there already, only its entry in the manifest is renewed.

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
    with alone(root / "downloads" / f".{entry.name}.lock", entry.name):
        if standing := _standing(entry, root, folder):
            say(f"{entry.name}: {standing.files:,} files are in {folder} already ({_origin(standing)}).")
            return standing if standing.entry == entry.of_any_machine() else _described_anew(standing, entry, root)
        say(f"{entry.name}: {entry.title}\n  Terms: {entry.terms}\n  Please cite: {entry.citation}")
        with replaced(folder, beside=root / "raw") as staging:
            manifest = _fill(staging, entry, root, mirror)
            write_manifest(staging / MANIFEST, manifest)
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


def _described_anew(standing: Manifest, entry: DatasetEntry, root: Path) -> Manifest:
    """The same files under a changed entry: the later stages see that the data set is another one."""
    manifest = standing.model_copy(update={"entry": entry.of_any_machine()})
    write_manifest(manifest_path(root, entry.name), manifest)
    say("  The catalogue describes them anew; what was made from them is made again.")
    return manifest


def _fill(staging: Path, entry: DatasetEntry, root: Path, mirror: Mirror | None) -> Manifest:
    copy = mirror.copies.get(entry.sources_of or entry.name) if mirror else None
    provenance: Provenance
    if mirror and copy:
        files, provenance = _from_mirror(staging, mirror.folder, copy), "mirror"
    else:
        files, provenance = _from_sources(staging, entry, root / "downloads")
    count, size = measure(staging)
    return Manifest(
        entry=entry.of_any_machine(),
        provenance=provenance,
        reduced=copy.reduced if copy else None,
        sources=tuple(files),
        fingerprint=fingerprint(entry),
        files=count,
        bytes=size,
    )


def _from_mirror(staging: Path, folder: Path, copy: Copy) -> list[FetchedFile]:
    files = []
    for part in copy.files:
        archive = folder / part.file
        verify(archive, f"sha256:{part.sha256}", f"as {folder / 'mirror.yaml'} says")
        unpack(archive, staging / part.into)
        files.append(_describe(archive, f"mirror: {part.file}"))
    return files


def _from_sources(staging: Path, entry: DatasetEntry, downloads: Path) -> tuple[list[FetchedFile], Provenance]:
    files: list[FetchedFile] = []
    provenance: Provenance = "published"
    for source in entry.sources:
        if isinstance(source, Generated):
            SIMULATORS[source.simulator](staging, source.count, source.seed)
            provenance = "generated"
        elif isinstance(source, Local):
            _place(source.path, staging / source.into)
            files.append(_describe(source.path, f"own: {source.path.name}"))
            provenance = "own"
        else:
            target = bring(source, entry, downloads)
            inside = target.name if target.is_dir() else ""  # as if it had been packed
            _place(target, staging / source.into / inside)
            files.append(_describe(target, source.address))
            remember(source, target, files[-1].sha256)
    return files, provenance


def _place(path: Path, folder: Path) -> None:
    """Let `folder` hold what an archive or a folder holds."""
    if path.is_file():
        unpack(path, folder)
    else:
        link_folder(path, folder)


def _describe(path: Path, address: str) -> FetchedFile:
    if path.is_dir():
        sha256, size = folder_digest(path)
    else:
        sha256, size = digest(path).removeprefix("sha256:"), path.stat().st_size
    return FetchedFile(file=path.name, address=address, sha256=sha256, bytes=size)


def _origin(manifest: Manifest) -> str:
    return manifest.provenance + (f", {manifest.reduced}" if manifest.reduced else "")
