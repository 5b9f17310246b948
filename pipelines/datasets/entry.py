"""An entry of the catalogue: what a data set is, where it comes from, what one may do with it and who reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipelines.datasets.readers.layout import Layout
from pipelines.datasets.readers.meaning import Meaning, check_names, normalised
from pipelines.datasets.readers.parts import VolumeCut
from pipelines.datasets.readers.registry import READERS
from pipelines.datasets.sources import Local, Source
from tune_spaces.strict_yaml import StrictModel, did_you_mean

OWN_READERS = {"segmentation": "image_mask_folders", "classification": "label_folders"}
"""By task: who reads a data set whose entry names no reader."""

Names = Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class DatasetEntry(StrictModel):
    """One data set, as `catalogue.yaml` describes it (its comment explains the keys)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    task: Literal["segmentation", "classification"]
    classes: Names
    labels: Names
    channels: int = Field(ge=1, le=8)
    reader: str
    values: Mapping[str, str] | None = None
    layout: Layout | None = None
    volume: VolumeCut | None = None
    patient: str | None = None
    sides: Annotated[tuple[Literal["train", "val", "test"], ...], Field(min_length=1, strict=False)] | None = None
    at_most: int | None = Field(default=None, ge=1)
    sources: tuple[Source, ...] = Field(min_length=1, strict=False)
    sources_of: str | None = None
    terms: str = Field(min_length=1)
    citation: str = Field(default="Not published.", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _choose_the_reader(cls, values: Any) -> Any:
        if isinstance(values, dict) and "reader" not in values and values.get("task") in OWN_READERS:
            return {**values, "reader": OWN_READERS[values["task"]]}
        return values

    @field_validator("reader")
    @classmethod
    def _is_a_reader(cls, reader: str) -> str:
        if reader not in READERS:
            raise ValueError(f"no such reader.{did_you_mean(reader, READERS)}")
        return reader

    @field_validator("patient")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern is not None and re.compile(pattern).groups != 1:
                raise ValueError("one group in parentheses must hold who was imaged, as in ^(p[0-9]+)_")
        except re.error as error:
            raise ValueError(f"not a regular expression ({error}); expected one such as ^(p[0-9]+)_") from None
        return pattern

    @field_validator("values", mode="before")
    @classmethod
    def _has_keys_of_one_kind(cls, values: Any) -> Any:
        return normalised(values) if isinstance(values, Mapping) else values

    @field_validator("values")
    @classmethod
    def _explains_the_masks(cls, values: Mapping[str, str] | None, info: ValidationInfo) -> Mapping[str, str] | None:
        known = info.data  # without the keys that are wrong themselves
        if values is None or not {"task", "classes", "reader"} <= known.keys():
            return values
        if known["task"] != "segmentation":
            raise ValueError("they say what pixels of masks are, but these images are classified; remove them")
        if READERS[known["reader"]].decode:
            raise ValueError(f"the reader {known['reader']} knows what its masks hold; remove them")
        check_names(values, known["classes"])
        return values

    @property
    def meaning(self) -> Meaning:
        """What values in masks mean."""
        return Meaning(self.classes, self.values)

    def seen_from(self, folder: Path) -> DatasetEntry:
        """The same entry, with its local paths starting at `folder`."""
        return self._with_local(lambda source: folder / source.path.expanduser())

    def of_any_machine(self) -> DatasetEntry:
        """The same entry, of whose local paths the last part is left: what it says of the data, and not where."""
        return self._with_local(lambda source: Path(source.path.name))

    def _with_local(self, path_of: Callable[[Local], Path]) -> DatasetEntry:
        sources = (
            source.model_copy(update={"path": path_of(source)}) if isinstance(source, Local) else source
            for source in self.sources
        )
        return self.model_copy(update={"sources": tuple(sources)})
