"""Two thousand damaged masks: each is read as class indices, or named with what is wrong, and nothing else happens."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pipelines.core.console import StageError
from pipelines.datasets.readers import cracks, land_cover
from pipelines.datasets.readers.masks import MaskDecoder, load_mask, matlab_size, probable, understood
from pipelines.datasets.readers.meaning import VOID, Meaning
from tests.support.pictures import disc

EACH = 130
"""Damaged files of each kind."""

LABELS = Meaning(("background", "a", "b"), {"0": "background", "1": "a", "255": "b", "128": "ignore"})
COLOURS = Meaning(("background", "a"), {"#000000": "background", "#ffffff": "a"})
DISC = disc(40, 48)


def encoded(kind: str, pixels: np.ndarray, mode: str | None = None, **options: object) -> bytes:
    file, picture = io.BytesIO(), Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(file, kind, **options)
    return file.getvalue()


def matlab(value: np.ndarray) -> bytes:
    file = io.BytesIO()
    savemat(file, {"groundTruth": {"Segmentation": value, "Boundaries": value}}, do_compression=True)
    return file.getvalue()


FILES: dict[str, bytes] = {
    "grey.png": encoded("PNG", DISC),
    "bit.png": encoded("PNG", DISC, "1"),
    "palette.png": encoded("PNG", DISC, "P", transparency=0),
    "colour.png": encoded("PNG", DISC, "RGB"),
    "opaque.png": encoded("PNG", DISC, "RGBA"),
    "deep.png": encoded("PNG", DISC.astype(np.uint16) * 257),
    "plain.bmp": encoded("BMP", DISC),
    "bit.bmp": encoded("BMP", DISC, "1"),
    "grey.jpg": encoded("JPEG", DISC, quality=80),
    "colour.jpg": encoded("JPEG", DISC, "RGB", quality=60),
    "grey.tif": encoded("TIFF", DISC),
    "packed.tif": encoded("TIFF", DISC, compression="tiff_lzw"),
    "floats.tif": encoded("TIFF", (DISC > 0).astype(np.float32)),
    "crack.mat": matlab(np.where(DISC, 2, 1).astype(np.uint8)),
    "plain.mat": matlab(np.where(DISC, 2.0, 1.0)),
}


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Cut, overwritten, repeated, or with a field of its first bytes changed."""
    data = bytearray(content)
    for _ in range(generator.integers(1, 4)):
        place, length = int(generator.integers(0, max(1, len(data)))), int(generator.integers(1, 9))
        match generator.integers(0, 6):
            case 0:
                del data[max(1, place) :]
            case 1:
                data[place : place + length] = generator.bytes(length)
            case 2 if data:
                data[place] ^= 1 << int(generator.integers(0, 8))
            case 3:
                start = min(place, 64)
                data[start : start + 4] = int(generator.choice([0, 1, 255, 2**16, 2**31 - 1])).to_bytes(4, "little")
            case 4:
                data[place:place] = data[place : place + 64]
            case _:
                del data[place : place + length]
    return bytes(data)


def readers(path: Path) -> list[Callable[[], object]]:
    if path.suffix == ".mat":
        return [lambda: cracks.decode(path), lambda: matlab_size(path)]
    meanings: list[MaskDecoder] = [
        understood,
        lambda one: understood(one, LABELS),
        lambda one: understood(one, COLOURS),
        probable,
        land_cover.decode,
    ]
    return [lambda decode=decode: load_mask([path], decode) for decode in meanings]  # type: ignore[misc]


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_mask_is_read_or_named(tmp_path: Path, name: str) -> None:
    generator, path = np.random.default_rng(len(name)), tmp_path / name
    read = 0
    for _ in range(EACH):
        path.write_bytes(damaged(FILES[name], generator))
        for reader in readers(path):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = reader()
            except StageError as error:
                text = str(error)
                assert text.startswith(f"{path}: "), text
                assert "\n" not in text, text
                continue
            read += 1
            if isinstance(found, np.ndarray):
                assert found.dtype == np.uint8
                assert found.ndim == 2
                assert set(np.unique(found).tolist()) <= {*range(7), VOID}
    assert read > 0, "some damage leaves a mask that can be read"


@pytest.mark.parametrize("name", FILES)
def test_the_whole_file_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    mask = readers(path)[0]()
    assert np.mean(mask != (DISC > 127)) < 0.01


def test_there_are_about_two_thousand() -> None:
    assert EACH * len(FILES) >= 1900
