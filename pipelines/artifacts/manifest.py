"""The record of a fetch: what lies in a data set's folder and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.core.console import StageError

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
