"""What every reader returns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE_SEPARATOR = ";"
NAME = re.compile(r"(?P<files>.+?)(\[(?P<part>[0-9:,]+)\])?")


@dataclass(frozen=True)
class Case:
    """One image with its annotation; paths are relative to the data set's folder."""

    image: Path
    masks: tuple[Path, ...]
    """Files whose union is the annotation; none if the label is all there is."""
    label: str
    patient: str | None = None
    """Who was imaged, where the data set tells."""
    official_split: str | None = None
    """train, val or test, where the publisher has decided."""
    modalities: tuple[Path, ...] = ()
    """Further files of the same view: the channels after those of `image`."""
    part: str = ""
    """Which piece of the files is meant, as NumPy would index it: `045` is slice 45 of a volume, `000:064,128:192`
    the patch of rows 0 to 63 and columns 128 to 191, `:,120` row 120 of each slice. All of it if empty."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The image and its further modalities."""
        return (self.image, *self.modalities)

    @property
    def name(self) -> str:
        """Says which pixels are meant, and no other case of the data set has it: `image/001.jpg[000:064,128:192]`."""
        return join_paths(self.files) + (f"[{self.part}]" if self.part else "")

    @classmethod
    def named(cls, name: str, masks: str = "", label: str = "") -> Case:
        """The case of a `name`, with the masks that `join_paths` made one string of."""
        found = NAME.fullmatch(name)
        if not found:
            raise ValueError(f"{name!r}: expected paths and perhaps a part in brackets.")
        image, *modalities = split_paths(found["files"])
        return cls(image, split_paths(masks), label, modalities=tuple(modalities), part=found["part"] or "")


def join_paths(paths: Iterable[Path]) -> str:
    """Several paths in one string."""
    return FILE_SEPARATOR.join(path.as_posix() for path in paths)


def split_paths(joined: str) -> tuple[Path, ...]:
    """The paths that `join_paths` made one string of."""
    return tuple(Path(path) for path in joined.split(FILE_SEPARATOR) if path)
