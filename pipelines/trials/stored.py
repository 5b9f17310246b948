"""Records on disk as JSON: each says its version, and is read whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.core.console import StageError

VERSION = 2
"""Of all records that a trial leaves. Raise it whenever one of them gains, loses or renames a field."""

RERUN = "Delete that folder and run the grid again: finished trials are kept."


class Strict(BaseModel):
    """Part of a record: frozen, without a field that the schema does not know. A number may be NaN or infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Stored(Strict):
    """A record that is a file of its own."""

    version: int = VERSION

    def to_json(self) -> str:
        """What `read_stored` reads."""
        return self.model_dump_json(indent=1)


Record = TypeVar("Record", bound=Stored)


def read_stored(path: Path, kind: type[Record], **given: object) -> Record:
    """A record from its file; `given` are the fields that the file does not hold.

    Raises:
        StageError: if it cannot be read, is damaged or of another version; the message says what to do.
    """
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(stored, dict) or "version" not in stored:
        raise damaged(path, "it says no version, as records did before they had one")
    if stored["version"] != VERSION:
        raise StageError(
            f"{path} is a record of version {stored['version']}, and this code reads version {VERSION}. "
            f"Check out the code that wrote it, or begin anew: {RERUN[:1].lower()}{RERUN[1:]}"
        )
    try:
        return kind.model_validate({**stored, **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise damaged(path, f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}") from error


def damaged(path: Path, cause: object) -> StageError:
    """The refusal of a trial's file that cannot be what it should be."""
    return StageError(f"{path} is damaged or not a trial's file ({cause}). {RERUN}")
