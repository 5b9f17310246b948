"""What every reader returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One image with its annotation; paths are relative to the data set's folder."""

    image: Path
    masks: tuple[Path, ...]
    """Files whose union is the lesion."""
    label: str
    patient: str | None = None
    """Who was imaged, where the data set tells."""
    official_split: str | None = None
    """train, val or test, where the publisher has decided."""
