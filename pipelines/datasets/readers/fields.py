"""What the headers of MetaImage and NRRD share: lines of a name and a value, and a data file that they point to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pipelines.core.console import StageError


@dataclass(frozen=True)
class Fields:
    """The lines of a header, by name in lower case. Every method raises StageError, naming file, line and value.

    A line can have several names, of which the first that is there counts; without a default it must be there.
    """

    path: Path
    lines: Mapping[str, str]

    def text(self, *names: str, default: str | None = None) -> str:
        """As it is written."""
        found = next((self.lines[name.lower()] for name in names if name.lower() in self.lines), default)
        if found is None:
            raise StageError(f"{self.path}: the header lacks the line `{names[0]}`. Write the volume again.")
        return found

    def numbers(self, *names: str, count: int, default: str | None = None) -> Float64[np.ndarray, " N"]:
        """`count` numbers, apart by spaces; infinity and NaN are none."""
        written = self.text(*names, default=default)
        try:
            found = np.array([float(word) for word in written.split()])
        except ValueError:
            found = np.array([np.nan])
        if len(found) != count or not np.isfinite(found).all():
            raise self._wrong(names[0], written, f"{count} number{'s' * (count > 1)}")
        return found

    def whole(self, *names: str, count: int, default: str | None = None, least: int = 1) -> tuple[int, ...]:
        """`count` whole numbers from `least` on."""
        written = self.text(*names, default=default)
        words = written.split()
        if len(words) != count or not all(re.fullmatch("-?[0-9]{1,12}", word) for word in words):
            raise self._wrong(names[0], written, f"{count} whole number{'s' * (count > 1)}")
        found = tuple(map(int, words))
        if min(found) < least:
            raise self._wrong(names[0], written, f"{least} or more")
        return found

    def flag(self, *names: str, default: bool) -> bool:
        """True or False."""
        written = self.text(*names, default=str(default))
        if written.lower() not in ("true", "false"):
            raise self._wrong(names[0], written, "True or False")
        return written.lower() == "true"

    def data_file(self, *names: str) -> Path:
        """The file that the header points to: one file, in the header's folder or below, whatever it claims.

        A header from a stranger must not have other files of a person's read as voxels.
        """
        written = self.text(*names)
        if written.upper().startswith("LIST") or "%" in written or not written.isprintable() or len(written) > 255:
            raise self._wrong(names[0], written, "one file with all voxels")
        place = Path(os.path.normpath(written))
        if place.is_absolute() or place.parts[:1] in ((), ("..",)):
            raise StageError(
                f"{self.path}: points to {written}, outside its folder. Expected a file beside the header. Place it "
                "there and correct the header."
            )
        return self.path.parent / place

    def _wrong(self, name: str, written: str, expected: str) -> StageError:
        shown = written if len(written) <= 80 else f"{written[:80]}..."
        return StageError(
            f"{self.path}: header line `{name}`: expected {expected}. Found {shown!r}. Write the volume again, or "
            "correct the header."
        )
