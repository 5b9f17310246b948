"""Prepared data to measure on, made by the stages themselves: the phantom, as small as is asked for."""

from __future__ import annotations

from pathlib import Path

from pipelines.artifacts.audit import record_path, write_duplicates
from pipelines.artifacts.split_table import table_path, write_table
from pipelines.audit.audit import audit_dataset
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import Params
from pipelines.fetch.obtain import fetch
from pipelines.filter.prepare import prepare
from pipelines.split.deal import split_dataset


def phantom(count: int) -> DatasetEntry:
    """The catalogue's entry, with so many pictures."""
    entry = load_catalogue()["phantom"]
    sources = tuple(source.model_copy(update={"count": count}) for source in entry.sources)
    return entry.model_copy(update={"sources": sources})


def prepare_phantom(root: Path, count: int, side: int) -> None:
    """Fetch, audit, split and filter it below `root`."""
    entry, params = phantom(count), Params(study="none")
    fetch(entry, root)
    audit = audit_dataset(entry, root, params.split.similarity)
    write_duplicates(record_path(root, entry.name), audit.duplicates)
    write_table(table_path(root, entry.name), split_dataset(entry, root, params.split).table)
    prepare(entry, root, side, params)
