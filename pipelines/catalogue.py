"""The catalogue: what each data set is, where it comes from, what one may do with it and who reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.console import StageError
from pipelines.readers import READERS
from tune_spaces.strict_yaml import ConfigError, StrictModel, did_you_mean, read_yaml, validate

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")]
FileName = Annotated[str, Field(pattern=r"^[^/\\]*[^/\\.][^/\\]*$")]
Names = Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class Generated(StrictModel):
    """Images that this project simulates."""

    kind: Literal["generated"]
    count: int = Field(ge=1)
    seed: int = Field(ge=0)


class Archive(StrictModel):
    """A zip file of the publisher. Without a `url`, a person gets it from `page` and places it by hand."""

    kind: Literal["archive"]
    url: str | None = Field(default=None, pattern=r"^https?://")
    page: str | None = Field(default=None, pattern=r"^https?://")
    file: FileName = ""
    checksum: Checksum | None = None
    bytes: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _name_the_file(cls, values: object) -> object:
        if isinstance(values, dict) and "file" not in values and isinstance(values.get("url"), str):
            return {**values, "file": values["url"].split("?")[0].rsplit("/", 1)[-1]}
        return values

    @model_validator(mode="after")
    def _can_be_had(self) -> Archive:
        if self.url is None and self.page is None:
            raise ValueError("give `url` (direct address) or `page` (where a person gets the file)")
        if not self.file:
            raise ValueError("give `file`, the name that the archive has in downloads")
        return self

    @property
    def address(self) -> str:
        """Where the archive is to be had."""
        return self.url or self.page or ""


Source = Annotated[Generated | Archive, Field(discriminator="kind")]


class DatasetEntry(StrictModel):
    """One data set, as `catalogue.yaml` describes it (its comment explains the keys)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    task: Literal["segmentation", "classification"]
    classes: Names
    labels: Names
    channels: Literal[1, 3]
    reader: str
    sources: tuple[Source, ...] = Field(min_length=1, strict=False)
    terms: str = Field(min_length=1)
    citation: str = Field(min_length=1)

    @field_validator("reader")
    @classmethod
    def _is_a_reader(cls, reader: str) -> str:
        if reader not in READERS:
            raise ValueError(f"no such reader.{did_you_mean(reader, READERS)}")
        return reader


def load_catalogue(path: Path = CATALOGUE) -> dict[str, DatasetEntry]:
    """Every data set by name.

    Raises:
        StageError: naming file, data set, key and what is allowed.
    """
    entries: dict[str, DatasetEntry] = {}
    try:
        for name, content in read_yaml(path).items():
            where = Path(f"{path}, data set {name}")
            if not isinstance(content, dict):
                raise StageError(f"{where}: expected keys and values. Found {content!r}.")
            entries[name] = validate(where, {**content, "name": name}, DatasetEntry)
    except ConfigError as error:
        raise StageError(str(error)) from None
    _refuse_shared_files(path, entries.values())
    return entries


def find_entries(names: Iterable[str], path: Path = CATALOGUE) -> list[DatasetEntry]:
    """The entries called `names`, each once. Raises StageError for an unknown name, listing the known ones."""
    catalogue = load_catalogue(path)
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in catalogue:
            raise StageError(f"{path}: no data set is called {name!r}.{did_you_mean(name, catalogue)}")
    return [catalogue[name] for name in wanted]


def _refuse_shared_files(path: Path, entries: Iterable[DatasetEntry]) -> None:
    owners: dict[str, str] = {}
    for entry in entries:
        for source in entry.sources:
            if isinstance(source, Archive) and owners.setdefault(source.file, entry.name) != entry.name:
                raise StageError(
                    f"{path}: data sets {owners[source.file]} and {entry.name} both store {source.file}; "
                    "give one of them another `file`."
                )
