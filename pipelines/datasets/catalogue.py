"""The catalogue: what each data set is, where it comes from, what one may do with it and who reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.core.console import StageError
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.sources import Download
from tune_spaces.strict_yaml import ConfigError, did_you_mean, read_yaml, validate

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

OWN = "catalogue.yaml"
"""In the data folder: the entries of a person's own data sets, beside ours."""


SHARED = ("sources", "terms", "citation")
"""What an entry takes over from the one that `sources_of` names."""


def load_catalogue(path: Path = CATALOGUE) -> dict[str, DatasetEntry]:
    """Every data set of a catalogue by name.

    Raises:
        StageError: naming file, data set, key and what is allowed.
    """
    entries: dict[str, DatasetEntry] = {}
    try:
        written = read_yaml(path)
        for name, content in written.items():
            where = Path(f"{path}, data set {name}")
            if not isinstance(content, dict):
                raise StageError(f"{where}: expected keys and values. Found {content!r}.")
            entry = validate(where, {**_taken_over(where, written, content), "name": name}, DatasetEntry)
            entries[entry.name] = entry.seen_from(path.parent)
    except ConfigError as error:
        raise StageError(str(error)) from None
    _refuse_shared_files(path, entries.values())
    return entries


def known_datasets(root: Path, path: Path = CATALOGUE) -> dict[str, DatasetEntry]:
    """Our data sets and those of `root/catalogue.yaml`, where a person describes their own.

    Raises:
        StageError: as `load_catalogue` does, and for a name or file that ours has already.
    """
    ours, own = load_catalogue(path), root / OWN
    if not own.is_file():
        return ours
    theirs = load_catalogue(own)
    if taken := sorted(set(ours) & set(theirs)):
        raise StageError(f"{own}: the name {taken[0]!r} is taken by {path}. Choose another one.")
    merged = {**ours, **theirs}
    _refuse_shared_files(own, merged.values())
    return merged


def find_entries(names: Iterable[str], root: Path, path: Path = CATALOGUE) -> list[DatasetEntry]:
    """The entries called `names`, each once. Raises StageError for an unknown name, listing the known ones."""
    catalogue = known_datasets(root, path)
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in catalogue:
            raise StageError(
                f"{path}: no data set is called {name!r}.{did_you_mean(name, catalogue)} "
                f"One of your own is described in {root / OWN}; see docs/data.md."
            )
    return [catalogue[name] for name in wanted]


def _taken_over(where: Path, written: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """What an entry says, and of the entry whose files it reads in another way, where they come from."""
    if "sources_of" not in content:
        return content
    other = written.get(content["sources_of"])
    if not isinstance(other, dict) or "sources" not in other:
        known = [name for name, entry in written.items() if isinstance(entry, dict) and "sources" in entry]
        raise StageError(f"{where}: `sources_of`: no such entry.{did_you_mean(str(content['sources_of']), known)}")
    return {**{key: other[key] for key in SHARED if key in other}, **content}


def _refuse_shared_files(path: Path, entries: Iterable[DatasetEntry]) -> None:
    owners: dict[str, str] = {}
    for entry in entries:
        if entry.sources_of:
            continue
        files = [source.file for source in entry.sources if isinstance(source, Download)]
        for file in files:
            if files.count(file) > 1:
                raise StageError(f"{path}: two sources of {entry.name} store {file}; give one of them another `file`.")
            if owners.setdefault(file, entry.name) != entry.name:
                raise StageError(
                    f"{path}: data sets {owners[file]} and {entry.name} both store {file}; "
                    "give one of them another `file`."
                )
