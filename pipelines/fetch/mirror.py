"""A folder with copies of data sets, for machines that cannot reach the publishers. `mirror.yaml` in it says what it
holds: per data set `file`, `sha256` and optionally `into`, the folder of the data set to unpack it into; for several
archives a list `files` of those; and optionally `reduced`, in words, how the copy differs from the original."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, Field

from pipelines.core.console import StageError
from pipelines.datasets.sources import FileName, Folder
from tune_spaces.strict_yaml import ConfigError, StrictModel, read_yaml, validate

VARIABLE = "DMF_DATA_MIRROR"


class CopiedFile(StrictModel):
    """One archive in the mirror; what else is written about it is for people."""

    model_config = ConfigDict(extra="ignore")
    file: FileName
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    into: Folder = ""


class Copy(StrictModel):
    """One data set in the mirror."""

    model_config = ConfigDict(extra="ignore")
    files: tuple[CopiedFile, ...] = Field(min_length=1, strict=False)
    reduced: str | None = None


@dataclass(frozen=True)
class Mirror:
    """A mirror folder and what it holds, by name of the data set."""

    folder: Path
    copies: Mapping[str, Copy]


def mirror_from_environment() -> Mirror | None:
    """The mirror that `DMF_DATA_MIRROR` names, if it is set."""
    folder = os.environ.get(VARIABLE)
    return load_mirror(Path(folder)) if folder else None


def load_mirror(folder: Path) -> Mirror:
    """Read a mirror's description. Raises StageError naming file and key."""
    path = folder / "mirror.yaml"
    if not path.is_file():
        raise StageError(f"{path}: no such file. {VARIABLE} must name a folder with a mirror.yaml. Found {folder}.")
    copies = {}
    try:
        for name, content in read_yaml(path).items():
            where = Path(f"{path}, data set {name}")
            if not isinstance(content, dict):
                raise StageError(f"{where}: expected keys and values. Found {content!r}.")
            one = {} if "files" in content else {"files": [validate(where, content, CopiedFile).model_dump()]}
            copies[name] = validate(where, {**content, **one}, Copy)
    except ConfigError as error:
        raise StageError(str(error)) from None
    return Mirror(folder, copies)
