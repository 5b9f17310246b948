"""The record of a fetch, <root>/raw/<dataset>/manifest.json: what lies beside it, where it came from, what it is.

The entry of the catalogue travels with the data in it, and the later stages read it here. So an entry that changes
changes what dvc sees of the data, and no stage can take them for something else than they were fetched as.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.core.console import StageError
from pipelines.core.files import write_atomically
from pipelines.datasets.catalogue import find_entries, known_datasets
from pipelines.datasets.entry import DatasetEntry

MANIFEST = "manifest.json"
"""Name of the record inside a data set's folder; it is there only when the folder is complete."""

Provenance = Literal["published", "mirror", "own", "generated"]
"""`published`: the publisher's own files; `mirror`: a copy, perhaps reduced; `own`: the person's; `generated`: ours,
simulated."""


class FetchedFile(BaseModel):
    """One archive as it was unpacked, or one folder as it was found."""

    model_config = ConfigDict(frozen=True)
    file: str
    address: str
    sha256: str
    bytes: int


class Manifest(BaseModel):
    """What was fetched. Holds no time and no machine, so that fetching twice gives the same bytes.

    Attributes:
        entry: Of the catalogue, whole but for where local sources lie: what the data are taken for.
        provenance: Who the files are from.
        reduced: How a mirror's copy differs from what was published, in the mirror's words.
        sources: Every archive or folder that was unpacked or linked.
        fingerprint: Changes when the files would have to be brought anew.
        files, bytes: How many files lie beside the manifest, and their bytes in all.
    """

    model_config = ConfigDict(frozen=True)
    entry: DatasetEntry
    provenance: Provenance
    reduced: str | None
    sources: tuple[FetchedFile, ...]
    fingerprint: str
    files: int
    bytes: int


def manifest_path(root: Path, dataset: str) -> Path:
    """Where the record of a data set lies below the data folder `root`."""
    return root / "raw" / dataset / MANIFEST


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write atomically; the same record gives the same bytes."""
    text = manifest.model_dump_json(indent=2) + "\n"
    write_atomically(path, lambda partial: partial.write_text(text))


def read_manifest(root: Path, dataset: str) -> Manifest:
    """The record of a data set below the data folder `root`. Raises StageError if it was not fetched."""
    path = manifest_path(root, dataset)
    try:
        return Manifest.model_validate_json(path.read_text())
    except FileNotFoundError:
        raise StageError(
            f"{path}: no such file; {dataset} was not fetched. Run `python -m pipelines.fetch --dataset {dataset}`."
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: not a record of a fetch ({error}). Remove {path.parent} and fetch again.") from None


def fetched_entries(names: Iterable[str], root: Path) -> list[DatasetEntry]:
    """The entries by which data sets were fetched, each once.

    Raises:
        StageError: if there is no such data set, it was not fetched, or the catalogue describes it otherwise by now.
    """
    known, wanted = known_datasets(root), list(dict.fromkeys(names))
    find_entries([name for name in wanted if name not in known and not manifest_path(root, name).exists()], root)
    entries = [read_manifest(root, name).entry for name in wanted]
    for entry in entries:
        if entry.name in known and (changed := _changed(entry, known[entry.name])):
            raise StageError(
                f"{manifest_path(root, entry.name)}: {entry.name} was fetched with another `{changed[0]}` than the "
                f"catalogue has now. Run `python -m pipelines.fetch --dataset {entry.name}`: what is there is not "
                "fetched again."
            )
    return entries


def _changed(entry: DatasetEntry, now: DatasetEntry) -> list[str]:
    """Keys by which two entries differ; where the files come from is for the fetch stage to compare."""
    keys = (key for key in DatasetEntry.model_fields if key != "sources")
    return [key for key in keys if getattr(entry, key) != getattr(now, key)]
