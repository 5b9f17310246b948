"""Why a trial could not finish: trials/<study>/<identifier>/failure.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.core.files import write_atomically

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


def write_failure(folder: Path, description: dict[str, Any], failure: Failure) -> None:
    """Record why a trial could not finish, for the tables of failures."""
    text = json.dumps({**description, "status": "failed", "failure": asdict(failure)}, indent=1)
    write_atomically(folder / FAILED, lambda partial: partial.write_text(text))


def read_failure(folder: Path) -> Failure | None:
    """What `write_failure` wrote; None if there is nothing or it cannot be read."""
    try:
        return Failure(**json.loads((folder / FAILED).read_text())["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def clear_failure(folder: Path) -> None:
    """Forget an earlier failure: the trial is tried again."""
    (folder / FAILED).unlink(missing_ok=True)
