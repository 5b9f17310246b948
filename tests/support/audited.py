"""The stages that come before the one under test."""

from __future__ import annotations

from pathlib import Path

from pipelines.artifacts.audit import record_path, write_duplicates
from pipelines.artifacts.manifest import Manifest, manifest_path, write_manifest
from pipelines.artifacts.split_table import table_path, write_table
from pipelines.audit.audit import audit_dataset
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import SplitParams
from pipelines.split.deal import SplitTable, split_dataset


def audit_and_split(root: Path, entry: DatasetEntry, params: SplitParams | None = None) -> SplitTable:
    """Audit and split a data set below the data folder `root`, as the two stages do."""
    params = params or SplitParams()
    write_duplicates(record_path(root, entry.name), audit_dataset(entry, root, params.similarity).duplicates)
    split = split_dataset(entry, root, params)
    write_table(table_path(root, entry.name), split.table)
    return split


def place_manifest(root: Path, entry: DatasetEntry, reduced: str | None = None) -> None:
    """Say that what lies in `root`/raw/<name> was fetched by this entry, from a mirror."""
    manifest = Manifest(entry=entry, provenance="mirror", reduced=reduced, sources=(), fingerprint="", files=1, bytes=1)
    write_manifest(manifest_path(root, entry.name), manifest)
