"""Two thousand damaged volumes: each gives an array or one sentence, in this very process, which survives."""

from __future__ import annotations

import gzip
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipelines.core.console import StageError
from pipelines.datasets.readers import volumes
from pipelines.datasets.readers.parts import Patches
from pipelines.datasets.readers.volume_files import stored_checksum
from pipelines.datasets.readers.volumes import check_volumes, load_volume, load_volume_mask, volume_size
from tests.support.volumes import metaimage, nifti, nrrd

COUNT = 2000
WORDS = (
    b"0",
    b"-1",
    b"2",
    b"99999999999",
    b"1e30",
    b"nan",
    b"",
    b"abc",
    b"0 0 0",
    b"LIST",
    b"True",
    b"../x",
    b"\xff\xfe",
)
FIELDS = (0, 4, 40, 42, 44, 46, 48, 50, 70, 72, 76, 80, 84, 108, 112, 116, 123, 252, 254, 256, 260, 280, 284, 344)
"""Places of NIfTI-1's fields: lengths, types, sizes, offset, scale, codes, quaternion, rows of the sform, magic."""

Mutate = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 9)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def other_field(content: bytes, rng: random.Random) -> bytes:
    """Of a NIfTI: a number of two or four bytes somewhere in the header."""
    place, width = rng.choice(FIELDS), rng.choice((2, 4))
    number = rng.choice((bytes(4), b"\xff" * 4, b"\0\0\xc0\x7f", b"\0\0\x80\x7f", rng.randbytes(4), b"\x40\0\0\0"))
    return content[:place] + number[:width] + content[place + width :]


def other_line(content: bytes, rng: random.Random) -> bytes:
    """Of a header of text: a line gone, doubled, or with another value or word."""
    lines = content[: content.find(b"\n", 120)].split(b"\n")
    rest = content[len(b"\n".join(lines)) :]
    place = rng.randrange(len(lines))
    name, mark, value = re.fullmatch(rb"([^=:]*)([=:]?)(.*)", lines[place], re.DOTALL).groups()  # type: ignore[union-attr]
    words = value.split() or [b""]
    words[rng.randrange(len(words))] = rng.choice(WORDS)
    changed = rng.choice(
        ([], [lines[place]] * 2, [name + mark + b" " + b" ".join(words)], [name + mark + rng.choice(WORDS)])
    )
    return b"\n".join([*lines[:place], *changed, *lines[place + 1 :]]) + rest


def seeds(folder: Path) -> dict[str, bytes]:
    """Small whole files of every kind, by the name that a copy is to have."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 9, (3, 4, 5)).astype(np.int16)
    affine = np.diag([1.0, 2, 3, 1])
    files = {
        "1.nii": nifti(folder / "1.nii", voxels, affine, qform_code=1),
        "2.nii": nifti(folder / "2.nii", voxels.astype(np.float32), affine, version=2),
        "4d.nii": nifti(folder / "4d.nii", np.stack([voxels, voxels]), scl_slope=2),
        "1.mha": metaimage(folder / "1.mha", voxels, ElementSpacing="1 2 3", Offset="1 1 1"),
        "1.nrrd": nrrd(folder / "1.nrrd", voxels, space="LPS", space_directions="(1,0,0) (0,2,0) (0,0,3)"),
        "1.mhd": metaimage(folder / "1.mhd", voxels),
        "1.nhdr": nrrd(folder / "1.nhdr", voxels),
    }
    for name in ("packed.mha", "packed.nrrd"):
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / name), True)
        files[name] = folder / name
    content = {name: path.read_bytes() for name, path in files.items()}
    return {**content, "1.nii.gz": gzip.compress(content["1.nii"], mtime=0)}


def outcome(path: Path, whole: Path) -> str:
    """What reading it in every way ends in."""
    cut = Patches(cut="patches", size=(2, 2, 2), spacing=(2, 2, 2))
    reads: list[Callable[[], object]] = [
        lambda: volume_size(path),
        lambda: stored_checksum(path),
        lambda: check_volumes(path, [], [path], "same"),
        lambda: load_volume([path], "same", None),
        lambda: load_volume([whole, path], "first", cut),
        lambda: load_volume_mask([path], path, None),
    ]
    refusals = []
    for read in reads:
        try:
            read()
        except StageError as error:
            refusals.append(str(error))
    for text in refusals:
        assert str(path.parent) in text
        assert "\n" not in text
        assert len(text) < 1000
    return "refused" if len(refusals) == len(reads) else "read in part" if refusals else "read"


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_damaged_volumes_end_in_an_array_or_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "MOST_VOXELS", 2**12)
    whole = seeds(tmp_path)
    rng = random.Random(0)
    ends: Counter[str] = Counter()
    for number in range(COUNT):
        name = rng.choice(sorted(whole))
        text = not name.split(".", 1)[1].startswith("nii")
        ways: list[Mutate] = [cut, flipped, other_line if text else other_field]
        if name == "1.nii.gz":
            ways = [cut, flipped, lambda content, rng: gzip.compress(other_field(gzip.decompress(content), rng))]
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(rng.choice(ways)(whole[name], rng))
        before = sorted(file.name for file in tmp_path.iterdir())
        ends[outcome(path, tmp_path / "1.nii")] += 1
        assert sorted(file.name for file in tmp_path.iterdir()) == before
        path.unlink()
    assert min(ends["refused"], ends["read"]) > COUNT / 10, ends
