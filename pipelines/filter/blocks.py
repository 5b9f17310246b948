"""Array files written a block of rows at a time, which go on where they were when their writer was killed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.core.files import write_atomically

RECORD = "blocks.json"


class Layout(NamedTuple):
    """Of an array: its shape and the type of its elements."""

    shape: tuple[int, ...]
    dtype: str = "uint8"


@dataclass(frozen=True)
class Blocks:
    """Array files that are being filled.

    A block counts once its rows are on disk and the record says so, with their checksums and a key of what they were
    made from. Memory holds one block: a file is mapped only while a block is read or written.

    Attributes:
        folder: Where the files lie until they are complete.
        layouts: Of the arrays, by file name.
    """

    folder: Path
    layouts: Mapping[str, Layout]

    def open(self) -> None:
        """Take up files of these layouts, or begin them."""
        if self._read().get("layouts") == self._layouts():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name, (shape, dtype) in self.layouts.items():
            np.lib.format.open_memmap(self.folder / name, mode="w+", dtype=dtype, shape=shape)
        self._write({})

    def holds(self, rows: range, key: str) -> bool:
        """Whether these rows are on disk, whole, and were made from what `key` stands for."""
        done = self._read()["blocks"].get(str(rows.start))
        try:
            return done == {"key": key, "sha256": {name: self._checksum(name, rows) for name in self.layouts}}
        except (OSError, ValueError):  # a file that is gone or no array
            return False

    def write(self, rows: range, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Put rows in their place, and only then say so."""
        for name, values in arrays.items():
            array = np.load(self.folder / name, mmap_mode="r+")
            array[rows.start : rows.stop] = values
            array.flush()
        checksums = {name: self._checksum(name, rows) for name in self.layouts}
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

    def _layouts(self) -> dict[str, list[Any]]:
        return {name: [list(shape), dtype] for name, (shape, dtype) in self.layouts.items()}

    def _read(self) -> dict[str, Any]:
        """The record; empty if there is none, or one that an older version wrote."""
        try:
            return json.loads((self.folder / RECORD).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def _write(self, blocks: Mapping[str, object]) -> None:
        text = json.dumps({"layouts": self._layouts(), "blocks": blocks})
        write_atomically(self.folder / RECORD, lambda partial: _put(partial, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text)
