"""Whether what was fetched is still what the catalogue describes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pipelines.artifacts.manifest import MANIFEST
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.sources import Generated, Local
from pipelines.fetch.link import state


def fingerprint(entry: DatasetEntry) -> str:
    """Changes with the sources that the catalogue names, with the simulator, and with the files of a local folder."""
    sources = [source.model_dump(mode="json", exclude_defaults=True) for source in entry.sources]
    digest = hashlib.sha256(json.dumps(sources).encode())
    for source in entry.sources:
        if isinstance(source, Generated):
            for path in sorted(Path(__file__).with_name(source.simulator).glob("[!_]*.py")):
                digest.update(path.read_bytes())
        elif isinstance(source, Local):
            digest.update(state(source.path).encode())
    return digest.hexdigest()


def measure(folder: Path) -> tuple[int, int]:
    """How many files a folder holds, and how many bytes in all; its manifest is not counted."""
    sizes = [path.stat().st_size for path in _files(folder)]
    return len(sizes), sum(sizes)


def _files(folder: Path) -> Iterator[Path]:
    record = folder / MANIFEST
    return (path for path in folder.rglob("*") if path.is_file() and path != record)
