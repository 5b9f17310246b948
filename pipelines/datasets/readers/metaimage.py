"""Headers of MetaImage, `.mha` and `.mhd` (https://itk.org/Wiki/ITK/MetaIO/Documentation)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import Block, Header, unlike
from pipelines.datasets.readers.fields import Fields
from pipelines.datasets.readers.grids import Grid, Triple, grid_of, in_space

TYPES = {
    "CHAR": "i1",
    "UCHAR": "u1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
"""By the name of an element's type without `MET_`: `LONG` has four bytes, as in ITK."""

LONGEST = 1 << 16
"""Bytes of a header at the most."""

LAST = "elementdatafile"
"""The line after which the header ends."""


def read_metaimage(path: Path) -> Header:
    """Raises StageError naming the file and what its header says that cannot be, or is not read."""
    fields, end = _fields(path)
    (axes,) = fields.whole("NDims", count=1)
    if axes not in (2, 3, 4):
        raise StageError(f"{path}: expected a volume of 3 axes, and one of channels at most. Found {axes}. Split it.")
    width, height, depth, slowest = (*fields.whole("DimSize", count=axes), 1, 1)[:4]
    (fastest,) = fields.whole("ElementNumberOfChannels", count=1, default="1")
    if min(slowest, fastest) > 1:
        raise StageError(f"{path}: {fastest} channels along 4 axes. Expected 3 axes. Split it.")
    _refuse_text_and_scaling(fields)
    compressed, (skip,) = _compressed(fields), fields.whole("HeaderSize", count=1, default="0", least=-1)
    local = fields.text("ElementDataFile").upper() == "LOCAL"
    block = Block(
        file=path if local else fields.data_file("ElementDataFile"),
        start=end if local else 0,
        skip=skip,
        dtype=_dtype(fields),
        compressed=compressed,
    )
    size = (width, height, depth)
    return Header(_grid(fields, axes, size), block, components=max(slowest, fastest), first=fastest > 1)


def _fields(path: Path) -> tuple[Fields, int]:
    """The header's lines, and at which byte of the file it ends."""
    lines: dict[str, str] = {}
    with path.open("rb") as file:
        while LAST not in lines:
            line = file.readline(LONGEST)
            name, equals, value = line.decode("utf-8", "replace").partition("=")
            if not equals or file.tell() > LONGEST:
                raise unlike(path, "MetaImage")
            lines[name.strip().lower()] = value.strip()
        return Fields(path, lines), file.tell()


def _dtype(fields: Fields) -> np.dtype:
    kind = fields.text("ElementType").upper().removeprefix("MET_").removesuffix("_ARRAY")
    if kind not in TYPES:
        raise StageError(f"{fields.path}: ElementType {kind[:80]} is not read. Known: {', '.join(TYPES)}. Convert it.")
    big = fields.flag("BinaryDataByteOrderMSB", "ElementByteOrderMSB", default=False)
    return np.dtype(TYPES[kind]).newbyteorder(">" if big else "<")


def _compressed(fields: Fields) -> bool:
    compressed = fields.flag("CompressedData", default=False)
    if compressed and fields.text("HeaderSize", default="0") != "0":
        raise StageError(f"{fields.path}: HeaderSize before compressed data is not read. Write the volume again.")
    return compressed


def _refuse_text_and_scaling(fields: Fields) -> None:
    if not fields.flag("BinaryData", default=True):
        raise StageError(f"{fields.path}: voxels written as text are not read. Write them with BinaryData = True.")
    for name, neutral in (("ElementToIntensityFunctionSlope", "1"), ("ElementToIntensityFunctionOffset", "0")):
        if (value := fields.numbers(name, count=1, default=neutral)[0]) != float(neutral):
            raise StageError(
                f"{fields.path}: {name} is {value:g}, which ITK does not apply. Store the values as they are meant."
            )


def _grid(fields: Fields, axes: int, size: Triple) -> Grid:
    """Each row of the header's matrix is the direction of an axis."""
    identity = " ".join(map(str, np.eye(axes, dtype=int).ravel()))
    written = fields.numbers("TransformMatrix", "Rotation", "Orientation", count=axes * axes, default=identity)
    spacing = fields.numbers("ElementSpacing", "ElementSize", count=axes, default="1 " * axes)
    origin = fields.numbers("Offset", "Position", "Origin", count=axes, default="0 " * axes)
    steps: Float64[np.ndarray, "N N"] = written.reshape(axes, axes).T * spacing
    return grid_of(fields.path, size, *in_space(steps, origin))
