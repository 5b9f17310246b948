"""Array files written a block of rows at a time, which go on where they were when their writer was killed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.files import write_atomically

RECORD = "blocks.json"


@dataclass(frozen=True)
class Blocks:
    """uint8 array files that are being filled.

    A block counts once its rows are on disk and the record says so, with their checksums and a key of what they were
    made from. Memory holds one block: a file is mapped only while a block is read or written.

    Attributes:
        folder: Where the files lie until they are complete.
        shapes: Of the arrays, by file name.
    """

    folder: Path
    shapes: Mapping[str, tuple[int, ...]]

    def open(self) -> None:
        """Take up files of these shapes, or begin them."""
        if self._read().get("shapes") == self._shapes():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name, shape in self.shapes.items():
            np.lib.format.open_memmap(self.folder / name, mode="w+", dtype=np.uint8, shape=shape)
        self._write({})

    def holds(self, rows: range, key: str) -> bool:
        """Whether these rows are on disk, whole, and were made from what `key` stands for."""
        done = self._read()["blocks"].get(str(rows.start))
        try:
            return done == {"key": key, "sha256": {name: self._checksum(name, rows) for name in self.shapes}}
        except (OSError, ValueError):  # a file that is gone or no array
            return False

    def write(self, rows: range, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Put rows in their place, and only then say so."""
        for name, values in arrays.items():
            array = np.load(self.folder / name, mmap_mode="r+")
            array[rows.start : rows.stop] = values
            array.flush()
        checksums = {name: self._checksum(name, rows) for name in self.shapes}
        self._write({**self._read()["blocks"], str(rows.start): {"key": key, "sha256": checksums}})

    def close(self) -> None:
        """Remove the folder if no block is done; what is done is kept for the next run."""
        if not self._read().get("blocks"):
            self.discard()

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _checksum(self, name: str, rows: range) -> str:
        return hashlib.sha256(np.load(self.folder / name, mmap_mode="r")[rows.start : rows.stop]).hexdigest()

    def _shapes(self) -> dict[str, list[int]]:
        return {name: list(shape) for name, shape in self.shapes.items()}

    def _read(self) -> dict[str, Any]:
        """The record; empty if there is none, or one that an older version wrote."""
        try:
            return json.loads((self.folder / RECORD).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def _write(self, blocks: Mapping[str, object]) -> None:
        text = json.dumps({"shapes": self._shapes(), "blocks": blocks})
        write_atomically(self.folder / RECORD, lambda partial: _put(partial, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text)
