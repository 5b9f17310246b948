"""Why a trial could not finish: trials/<study>/<identifier>/failure.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.core.console import StageError
from pipelines.core.files import write_atomically
from pipelines.trials.record import Description, Start
from pipelines.trials.stored import Stored, read_stored

FAILED = "failure.json"

FailureKind = Literal["configuration", "divergence", "machine", "skipped"]


@dataclass(frozen=True)
class Failure:
    """Why a trial could not finish.

    Attributes:
        kind: "configuration", a fault of the settings or the code, which all seeds share; "divergence", of this seed;
            "machine", of the computer; "skipped", not tried because another seed of the configuration failed.
        error: one line.
        attempts: how often the trial was begun.
        node: machine of the last attempt.
        log: file that tells more, or an empty string.
        traceback: where the error was raised, if it was.
    """

    kind: FailureKind
    error: str
    attempts: int = 0
    node: str = ""
    log: str = ""
    traceback: str = ""

    @property
    def sentence(self) -> str:
        """For a list: what went wrong, where, how often it was tried, and what tells more."""
        if self.kind == "skipped":
            return self.error
        log = f"; see {self.log}" if self.log else ""
        return f"failed ({self.kind}, attempt {self.attempts}, node {self.node}): {self.error}{log}"


class FailureRecord(Description, Stored):
    """What failure.json says: what the trial is, the attempts that got as far as training, and why it failed."""

    attempts: tuple[Start, ...]
    failure: Failure


def write_failure(folder: Path, description: Description, failure: Failure, attempts: Sequence[Start] = ()) -> None:
    """Record why a trial could not finish, for the tables of failures."""
    record = FailureRecord(**dict(description), attempts=tuple(attempts), failure=failure)
    write_atomically(folder / FAILED, lambda partial: partial.write_text(record.to_json()))


def read_failed(folder: Path) -> FailureRecord:
    """What `write_failure` wrote. Raises StageError if it is damaged or of another version."""
    return read_stored(folder / FAILED, FailureRecord)


def read_failure(folder: Path) -> Failure | None:
    """Why a trial failed; None if it has not. Of a record that cannot be read, it says that it cannot."""
    if not (folder / FAILED).is_file():
        return None
    try:
        return read_failed(folder).failure
    except StageError as error:
        return Failure("machine", str(error))


def clear_failure(folder: Path) -> None:
    """Forget an earlier failure: the trial is tried again."""
    (folder / FAILED).unlink(missing_ok=True)
