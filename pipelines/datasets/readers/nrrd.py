"""Headers of NRRD, `.nrrd` and `.nhdr` (https://teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import TO_THE_END, Block, Header, damaged, unlike
from pipelines.datasets.readers.fields import Fields
from pipelines.datasets.readers.grids import Grid, Triple, grid_of, in_space

TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}

SPACES = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1, 1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1, -1, 1)),
}
"""By the name of a space: signs that turn it to the left, back and head. With `-time`, its fourth axis is time."""

ENCODINGS = {"raw": False, "gzip": True, "gz": True}

AS_CHANNELS = ("vector", "list", "covariant-vector", "normal", "RGB-color", "RGBA-color", "HSV-color", "XYZ-color")
IN_SPACE = ("domain", "space", "???", "none")
"""Kinds of an axis, as far as they are read; `time` is as good as channels."""

LONGEST = 1 << 16
"""Bytes of a header at the most."""


def read_nrrd(path: Path) -> Header:
    """Raises StageError naming the file and what its header says that cannot be, or is not read."""
    fields, end = _fields(path)
    (axes,) = fields.whole("dimension", count=1)
    if axes not in (2, 3, 4):
        raise StageError(f"{path}: expected a volume of 3 axes, and one of channels at most. Found {axes}. Split it.")
    lengths = fields.whole("sizes", count=axes)
    channels = _channel_axis(fields, axes)
    spatial = [length for axis, length in enumerate(lengths) if axis != channels]
    width, height, depth = (*spatial, 1)[:3]
    encoding = fields.text("encoding").lower()
    if encoding not in ENCODINGS:
        raise StageError(f"{path}: encoding {encoding[:80]!r} is not read. Known: {', '.join(ENCODINGS)}. Convert it.")
    (skip,) = fields.whole("byte skip", "byteskip", count=1, default="0", least=TO_THE_END)
    if fields.text("line skip", "lineskip", default="0") != "0" or (skip < 0 and ENCODINGS[encoding]):
        raise StageError(f"{path}: skipping lines, or back from the end of packed data, is not read. Write it without.")
    detached = any(name in fields.lines for name in ("data file", "datafile"))
    block = Block(
        file=fields.data_file("data file", "datafile") if detached else path,
        start=0 if detached else end,
        skip=skip,
        dtype=_dtype(fields),
        compressed=ENCODINGS[encoding],
    )
    components = 1 if channels is None else lengths[channels]
    grid = _grid(fields, axes, channels, (width, height, depth))
    return Header(grid, block, components, first=channels == 0)


def _fields(path: Path) -> tuple[Fields, int]:
    """The header's lines, and at which byte of the file it ends."""
    lines: dict[str, str] = {}
    with path.open("rb") as file:
        if not re.fullmatch(rb"NRRD\d{4}\r?\n", file.readline(16)):
            raise unlike(path, "NRRD")
        while line := file.readline(LONGEST).decode("utf-8", "replace").strip():
            name, colon, value = line.partition(":")
            if file.tell() > LONGEST or not (colon or line.startswith("#")):
                raise damaged(path, f"header line {line[:80]!r}")
            if not line.startswith("#") and not value.startswith("="):
                lines[name.strip().lower()] = value.strip()
        return Fields(path, lines), file.tell()


def _dtype(fields: Fields) -> np.dtype:
    kind = fields.text("type").lower()
    if kind not in TYPES:
        raise StageError(f"{fields.path}: type {kind[:80]!r} is not read. Known: numbers such as short. Convert it.")
    dtype = np.dtype(TYPES[kind])
    if dtype.itemsize == 1:
        return dtype
    endian = fields.text("endian").lower()
    if endian not in ("little", "big"):
        raise StageError(f"{fields.path}: endian {endian[:80]!r}. Expected little or big. Correct the header.")
    return dtype.newbyteorder("<" if endian == "little" else ">")


def _channel_axis(fields: Fields, axes: int) -> int | None:
    """Which axis holds the values of a voxel: by its kind, because it has no direction, or the last one of four."""
    kinds = fields.text("kinds", default="domain " * axes).split()
    vectors = _vectors(fields, axes)
    found = [axis for axis, vector in enumerate(vectors) if vector is None] if vectors else []
    for axis, kind in enumerate(kinds[:axes]):
        if kind == "complex" or "matrix" in kind:
            raise StageError(f"{fields.path}: voxels of kind {kind} are not read. Expected numbers. Convert it.")
        if kind not in IN_SPACE and axis not in found:
            found.append(axis)
    if not found and axes == 4:
        found = [3]
    if len(found) > 1 or axes - len(found) not in (2, 3) or (found and found[0] not in (0, axes - 1)):
        raise StageError(
            f"{fields.path}: expected 3 axes in space, and one of channels first or last at most. Found kinds "
            f"{' '.join(kinds)[:80]!r}. Convert it."
        )
    return found[0] if found else None


def _vectors(fields: Fields, axes: int) -> list[list[float] | None]:
    """Of each axis the step in space, None where the header says that it has none; empty if it says nothing."""
    written = fields.text("space directions", default="")
    words = re.findall(r"none|\([^)]*\)", written)
    try:
        found = [None if word == "none" else [float(number) for number in word[1:-1].split(",")] for word in words]
    except ValueError:
        found = [None] * (axes + 1)
    lengths = {len(vector) for vector in found if vector is not None}
    if written and (len(found) != axes or len(lengths) != 1 or not lengths <= {2, 3, 4}):
        raise StageError(
            f"{fields.path}: header line `space directions`: expected {axes} vectors. Found {written[:80]!r}. "
            "Correct the header."
        )
    return found


def _grid(fields: Fields, axes: int, channels: int | None, size: Triple) -> Grid:
    spatial = [axis for axis in range(axes) if axis != channels]
    vectors = [vector for vector in _vectors(fields, axes) if vector is not None]
    if not vectors:
        spacing = fields.text("spacings", default="1 " * axes).lower().split()
        kept = Fields(fields.path, {"spacings": " ".join(spacing[axis] for axis in spatial if axis < len(spacing))})
        steps = np.diag(kept.numbers("spacings", count=len(spatial)))
        return grid_of(fields.path, size, *in_space(steps, np.zeros(len(spatial))))
    steps = np.array(vectors).T
    if steps.shape != (len(spatial), len(spatial)):
        raise StageError(
            f"{fields.path}: {len(vectors)} `space directions` of {len(steps)} numbers. Expected {len(spatial)} of as "
            "many. Correct the header."
        )
    written = fields.text("space origin", default="0," * len(spatial)).strip("(), ").replace(",", " ")
    origin = Fields(fields.path, {"space origin": written}).numbers("space origin", count=len(spatial))
    space = fields.text("space", default="lps").lower().removesuffix("-time").removesuffix("t")
    if space not in SPACES:
        raise StageError(
            f"{fields.path}: space {space[:80]!r} does not say where the patient's left is. Known: "
            f"{', '.join(SPACES)}. Correct the header."
        )
    signs = np.array(SPACES[space], np.float64)
    steps, origin = in_space(steps, origin)
    return grid_of(fields.path, size, signs[:, None] * steps, signs * origin)
