"""The record of a fetch: what lies in a data set's folder and where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.catalogue import DatasetEntry
from pipelines.console import StageError
from pipelines.fetch.link import state
from pipelines.sources import Generated, Local

MANIFEST = "manifest.json"
"""Name of the record inside a data set's folder; it is there only when the folder is complete."""

Provenance = Literal["published", "mirror", "own", "generated"]
"""`published`: the publisher's own files; `mirror`: a copy, perhaps reduced; `own`: the person's; `generated`: ours,
simulated."""

SIMULATOR = Path(__file__).with_name("phantom")


class FetchedFile(BaseModel):
    """One archive as it was unpacked, or one folder as it was found."""

    model_config = ConfigDict(frozen=True)
    file: str
    address: str
    sha256: str
    bytes: int


class Manifest(BaseModel):
    """What was fetched. Holds no time and no machine, so that fetching twice gives the same bytes."""

    model_config = ConfigDict(frozen=True)
    dataset: str
    provenance: Provenance
    reduced: str | None
    """How a mirror's copy differs from what was published, in the mirror's words."""
    sources: tuple[FetchedFile, ...]
    fingerprint: str
    files: int
    bytes: int
    terms: str
    citation: str


def fingerprint(entry: DatasetEntry) -> str:
    """Changes with the sources that the catalogue names, with the simulator, and with the files of a local folder."""
    sources = [source.model_dump(mode="json", exclude_defaults=True) for source in entry.sources]
    digest = hashlib.sha256(json.dumps(sources).encode())
    for source in entry.sources:
        if isinstance(source, Generated):
            for path in sorted(SIMULATOR.glob("[!_]*.py")):
                digest.update(path.read_bytes())
        elif isinstance(source, Local):
            digest.update(state(source.path).encode())
    return digest.hexdigest()


def read_manifest(root: Path, dataset: str) -> Manifest:
    """The record of a data set below the data folder `root`. Raises StageError if it was not fetched."""
    path = root / "raw" / dataset / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_text())
    except FileNotFoundError:
        raise StageError(
            f"{path}: no such file; {dataset} was not fetched. Run `python -m pipelines.fetch --dataset {dataset}`."
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: not a record of a fetch ({error}). Remove {path.parent} and fetch again.") from None


def measure(folder: Path) -> tuple[int, int]:
    """How many files a folder holds, and how many bytes in all; its manifest is not counted."""
    sizes = [path.stat().st_size for path in _files(folder)]
    return len(sizes), sum(sizes)


def _files(folder: Path) -> Iterator[Path]:
    record = folder / MANIFEST
    return (path for path in folder.rglob("*") if path.is_file() and path != record)
