"""The report as an RO-Crate: `ro-crate-metadata.json` lists every file with its checksum, and what it was made of.

Source: RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), JSON-LD that archives such as Zenodo and WorkflowHub read. The
checksums are `sha256` of schema.org. Holds no time of its own, so that the same trials give the same bytes.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.trials.record import TrialRecord

METADATA = "ro-crate-metadata.json"
CONTEXT: list[Any] = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
TYPES = {".zst": "application/zstd", ".tex": "application/x-tex"}
LICENCE = "https://spdx.org/licenses/MIT"


def write_crate(folder: Path, title: str, records: Sequence[TrialRecord]) -> None:
    """Describe all files of a complete report, its data sets and its trainings."""
    files = [_file(folder, path) for path in _files(folder)]
    made = {record.spec.dataset: record for record in records}
    datasets = [_dataset(name, record) for name, record in sorted(made.items())]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": f"Tables, figures, statistics and records of {len({r.identifier for r in records})} trainings.",
        "datePublished": max(attempt.started for record in records for attempt in record.attempts),
        "license": {"@id": LICENCE},
        "hasPart": [{"@id": file["@id"]} for file in files],
        "mentions": [{"@id": "#trainings"}],
    }
    about = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    graph = [about, root, _trainings(records, datasets), _software(records), *datasets, *files]
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    (folder / METADATA).write_text(text + "\n")


def broken_files(folder: Path) -> list[str]:
    """Files of a report that are not as its crate says, each with what is wrong. Raises StageError without a crate."""
    path = folder / METADATA
    try:
        graph = json.loads(path.read_text())["@graph"]
        told = {entity["@id"]: entity["sha256"] for entity in graph if entity.get("@type") == "File"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{path} is missing or damaged ({error}). Make the report again: `dvc repro --force report`."
        ) from error
    found = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    missing = [f"{name}: missing" for name in told if name not in found]
    unknown = [f"{name}: no part of the report" for name in found if name not in told]
    changed = [
        f"{name}: changed since" for name, sha in told.items() if name in found and file_checksum(found[name]) != sha
    ]
    return [*missing, *unknown, *changed]


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != METADATA)


def _file(folder: Path, path: Path) -> dict[str, Any]:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {
        "@id": path.relative_to(folder).as_posix(),
        "@type": "File",
        "contentSize": str(path.stat().st_size),
        "encodingFormat": kind,
        "sha256": file_checksum(path),
    }


def _dataset(name: str, record: TrialRecord) -> dict[str, Any]:
    made = record.preparation
    return {
        "@id": f"#data-{name}",
        "@type": "Dataset",
        "name": made.title,
        "identifier": name,
        "conditionsOfAccess": made.terms,
        "citation": made.citation,
        "description": made.reduced or "As published.",
    }


def _trainings(records: Sequence[TrialRecord], datasets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    starts = [record.started for record in records]
    return {
        "@id": "#trainings",
        "@type": "CreateAction",
        "name": f"Trainings of study {records[0].study}",
        "startTime": min(starts),
        "instrument": {"@id": "#software"},
        "object": [{"@id": one["@id"]} for one in datasets],
        "result": [{"@id": "./"}],
    }


def _software(records: Sequence[TrialRecord]) -> dict[str, Any]:
    versions = sorted({record.code_version for record in records})
    return {"@id": "#software", "@type": "SoftwareApplication", "name": "dmf", "version": "; ".join(versions)}
