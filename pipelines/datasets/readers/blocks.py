"""The voxels of a volume as bytes in a file, plain or compressed, and what a header says about them.

Headers come from anywhere: a block is read only if the file can hold it, and only as far as the header says.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from pipelines.core.console import StageError
from pipelines.datasets.readers.grids import Grid

CHUNK = 1 << 22

DENSEST = 1032
"""How many bytes a byte of deflate can stand for at most."""

TO_THE_END = -1

READ = "NIfTI (.nii, .nii.gz, .hdr with .img), MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr)"

SIGNS = (
    *((0, b"PK", "zip"), (0, b"\x89PNG", "PNG"), (0, b"\xff\xd8\xff", "JPEG"), (0, b"II*\0", "TIFF")),
    *((0, b"<", "HTML"), (0, b"\x89HDF", "HDF5"), (0, b"CDF", "MINC"), (0, b"#?RADIANCE", "Radiance")),
    *((0, b"version https://", "Git LFS"), (0, b"NRRD00", "NRRD"), (0, b"ObjectType", "MetaImage")),
    *((128, b"DICM", "DICOM"), (0, b"\x1f\x8b", "gzip"), (344, b"n+1\0", "NIfTI"), (4, b"n+2\0", "NIfTI")),
)
"""At which byte which text says of what kind a file is, whatever its name."""


@dataclass(frozen=True)
class Block:
    """Where voxels are stored.

    Attributes:
        file: The header's own file, or the one that it points to.
        start: Where the block, or its compressed stream, begins in the file.
        skip: Bytes to leave out from there, of the unpacked ones if it is compressed; TO_THE_END: what comes last in
            the file is the block.
        dtype: Of a number, with its byte order.
        compressed: By zlib or gzip.
    """

    file: Path
    start: int
    skip: int
    dtype: np.dtype
    compressed: bool


@dataclass(frozen=True)
class Header:
    """What a file says of its volume.

    Attributes:
        grid: Of its three axes in space.
        block: Its numbers, the grid's fastest axis first.
        components: Numbers for each voxel.
        first: Whether these are the fastest axis of all, not the slowest.
        slope, intercept: A voxel's value is its number times `slope` plus `intercept`.
    """

    grid: Grid
    block: Block
    components: int = 1
    first: bool = False
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def scales(self) -> bool:
        """Whether values differ from the numbers that are stored."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def read_voxels(header: Header) -> Float32[np.ndarray, "D H W C"]:
    """The values of all voxels, by slowest axis first, each with its components last.

    Raises:
        StageError: naming the file that is damaged or cut short.
    """
    dtype, shape, components = header.block.dtype, header.grid.size[::-1], header.components
    numbers = np.frombuffer(_read(header.block, math.prod(shape) * components * dtype.itemsize), dtype)
    if header.first:
        numbers = numbers.reshape(*shape, components)
    else:
        numbers = np.moveaxis(numbers.reshape(components, *shape), 0, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        values = numbers * header.slope + header.intercept if header.scales else numbers
        return np.ascontiguousarray(values, np.float32)


def beginning(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, unpacked if it is compressed, or as many as there are."""
    with path.open("rb") as file:
        return bytes(_first(_chunks(file, is_compressed(path), count), count))


def is_compressed(path: Path) -> bool:
    """Whether a file begins as gzip does, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def damaged(path: Path, reason: str) -> StageError:
    """An error about a file that is none of the formats that are read, or not whole."""
    return StageError(f"{path}: cannot be read as a volume ({reason}). Read are {READ}. Replace it by a whole one.")


def unlike(path: Path, expected: str) -> StageError:
    """An error about a file that is not of the format that its name says, with what it begins as."""
    with path.open("rb") as file:
        head = file.read(512)
    kind = next((kind for place, sign, kind in SIGNS if head[place:].startswith(sign)), None)
    return damaged(path, f"no {expected} header" + (f"; it begins as a file of {kind} does" if kind else ""))


def _read(block: Block, count: int) -> bytearray:
    try:
        size = block.file.stat().st_size - block.start
        skip = size - count if block.skip == TO_THE_END else block.skip
        if count > (size * DENSEST if block.compressed else size - skip) or skip < 0:
            raise damaged(block.file, f"{size:,} bytes{' compressed' * block.compressed} of {count + skip:,}")
        with block.file.open("rb") as file:
            file.seek(block.start)
            chunks = _chunks(file, block.compressed, CHUNK)
            found = _first(chunks, skip + count)
            for _ in chunks if block.compressed else ():
                pass  # the checksum comes at the end
    except FileNotFoundError:
        raise StageError(
            f"{block.file}: no such file, but a header points to it. Place it beside its header."
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(block.file, str(error)) from None
    if len(found) < skip + count:
        raise damaged(block.file, f"{len(found):,} bytes of {skip + count:,}")
    return found[skip:]


def _first(chunks: Iterator[bytes], count: int) -> bytearray:
    found = bytearray()
    while len(found) < count and (chunk := next(chunks, b"")):
        found += chunk
    return found[:count]


def _chunks(file: BinaryIO, compressed: bool, size: int) -> Iterator[bytes]:
    return _inflated(file, size) if compressed else iter(lambda: file.read(size), b"")


def _inflated(file: BinaryIO, size: int) -> Iterator[bytes]:
    """A file from where it stands on; gzip's can have several members, with zeros after the last."""
    inflater, begun = zlib.decompressobj(47), False
    while packed := file.read(size):
        while packed:
            begun = True
            if unpacked := inflater.decompress(packed, size):
                yield unpacked
            packed = inflater.unconsumed_tail
            if inflater.eof:
                packed = inflater.unused_data.lstrip(b"\0")
                inflater, begun = zlib.decompressobj(47), False
    if begun:
        yield inflater.flush()
        if not inflater.eof:
            raise EOFError("the compressed data end too early")
