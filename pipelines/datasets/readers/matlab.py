"""Tables of numbers in MATLAB files of version 5 to 7.2.

SciPy reads those files, too, but a damaged one ends its process (1.17: a type that does not exist is looked up without
asking), which no error can report.

Source: The MathWorks, MAT-File Format, "Level 5 MAT-File Format".
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 128
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's names of the types that numbers are stored in."""

MATRIX, COMPRESSED = 14, 15
STRUCT, TABLES = 2, range(6, 16)
"""Classes of a matrix: a structure, and numbers of any kind."""


class Element(NamedTuple):
    """A piece of a file: its type, and its bytes."""

    kind: int
    data: bytes


class MatlabFile:
    """The variables of a file, none of which is looked at before it is asked for.

    Raises:
        ValueError: if it is no such file; every method does, where what it looks at is damaged or not there.
        OSError: if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        mark = content[HEADER - 2 : HEADER]
        if mark not in (b"IM", b"MI"):
            raise ValueError("no MATLAB file of version 5 to 7.2")
        self._order = "<" if mark == b"IM" else ">"
        self._variables = list(self._elements(content[HEADER:], padded=False))

    def table(self, variable: str, field: str) -> NDArray[np.number]:
        """The numbers of a field of a structure."""
        for element in self._variables:
            kind, _, name, rest = self._matrix(element)
            if kind == STRUCT and name == variable:
                return self._numbers(self._field(rest, field))
        raise ValueError(f"no structure {variable} in it")

    def _field(self, rest: list[Element], field: str) -> Element:
        if len(rest) < 2:
            raise ValueError("a structure without fields")
        width, names = int(self._whole(rest[0])[0]), rest[1].data
        if not 0 < width <= len(names):
            raise ValueError("names of fields are damaged")
        known = [names[start : start + width].split(b"\0")[0] for start in range(0, len(names), width)]
        if field.encode() not in known or len(rest) < 2 + len(known):
            raise ValueError(f"no field {field} in it")
        return rest[2 + known.index(field.encode())]

    def _numbers(self, element: Element) -> NDArray[np.number]:
        kind, shape, _, rest = self._matrix(element)
        if kind not in TABLES or not rest:
            raise ValueError("what is in it are no numbers")
        values = self._whole(rest[0])
        if min(shape, default=0) < 0 or math.prod(shape) != len(values):
            raise ValueError(f"{len(values)} numbers for a table of {shape}")
        return values.reshape(shape, order="F")

    def _matrix(self, element: Element) -> tuple[int, tuple[int, ...], str, list[Element]]:
        """Class, shape and name of a matrix, and what follows."""
        if element.kind == COMPRESSED:
            element = next(self._elements(zlib.decompress(element.data), padded=False), element)
        if element.kind != MATRIX:
            raise ValueError("a piece of it is no matrix")
        parts = list(self._elements(element.data, padded=True))
        if len(parts) < 3:
            raise ValueError("a matrix without a header")
        flags, shape, name, *rest = parts
        return int(self._whole(flags)[0]) & 0xFF, tuple(self._whole(shape).tolist()), name.data.decode("latin-1"), rest

    def _whole(self, element: Element) -> NDArray[np.number]:
        if element.kind not in NUMBERS:
            raise ValueError(f"numbers of an unknown type, {element.kind}")
        values = np.frombuffer(element.data, np.dtype(self._order + NUMBERS[element.kind]))
        if not len(values):
            raise ValueError("numbers that are missing")
        return values

    def _elements(self, data: bytes, *, padded: bool) -> Iterator[Element]:
        place = 0
        while place + 8 <= len(data):
            kind, size = struct.unpack_from(self._order + "II", data, place)
            start, reach = place + 8, size
            if kind >> 16:  # size and type share four bytes, four of data follow
                kind, size, start, reach = kind & 0xFFFF, kind >> 16, place + 4, 4
            elif padded:
                reach = -(-size // 8) * 8
            if size > min(reach, len(data) - start):
                raise ValueError(f"{max(0, len(data) - start)} bytes of {size}")
            yield Element(kind, data[start : start + size])
            place = start + reach
