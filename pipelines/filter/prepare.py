"""Writing the arrays of one data set: in blocks of bounded memory, on all cores, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipelines import datasets
from pipelines.artifacts.arrays import CASES, FILES, META, SPLIT_COLUMNS, Meta, arrays_folder
from pipelines.artifacts.manifest import read_manifest
from pipelines.artifacts.split_table import read_table, table_path
from pipelines.core import images
from pipelines.core.checksums import file_checksum, joint_checksum
from pipelines.core.console import say
from pipelines.core.files import replaced
from pipelines.core.parallel import threaded_blocks
from pipelines.datasets import readers
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import FilterParams, Params
from pipelines.datasets.preparation import Converted, Row, convert, spatial_shape
from pipelines.datasets.readers.meaning import VOID
from pipelines.datasets.readers.volume_files import files_of
from pipelines.filter.blocks import Blocks, Layout

BLOCK_IMAGES, BLOCK_BYTES = 256, 2**25
"""A block ends at as many images, or at as many bytes of them; about two of them are in memory."""

ORIGINALS = "originals.npy"
"""Beside the arrays while they are filled: height and width of each image as it was read."""


def prepare(entry: DatasetEntry, root: Path, size: int, params: Params) -> Meta:
    """Resize and filter every image of a data set for trials of `image_size` `size`.

    It replaces `root`/arrays/<dataset>/<size>, which is as it was until then; arrays of other sizes stay as they are.

    A run that was killed, or stopped at a broken file, keeps its finished blocks; the next one filters what is
    missing or would now come out differently.

    Raises:
        StageError: if an image or a mask is missing, cannot be read, or does not fit, or `size` does not fit patches.
    """
    spatial = spatial_shape(entry, size)
    table, fetched = read_table(table_path(root, entry.name)), read_manifest(root, entry.name)
    rows = [Row(*values) for values in table[[*Row._fields[1:]]].itertuples()]
    blocks = Blocks(root / f".arrays-{entry.name}-{size}.blocks", _layouts(entry, len(rows), spatial))
    blocks.open()
    try:
        _fill(blocks, entry, root / "raw" / entry.name, rows, size, params.filter)
    finally:
        blocks.close()
    with replaced(arrays_folder(root, entry.name, size), beside=root) as partial:
        for name in FILES:
            (blocks.folder / name).rename(partial / name)
        height, width = np.load(blocks.folder / ORIGINALS).T
        cases = table[list(SPLIT_COLUMNS)].assign(height=height, width=width)
        cases.to_csv(partial / CASES, index=False, lineterminator="\n")
        sha256 = {name: file_checksum(partial / name) for name in (*FILES, CASES)}
        meta = Meta(
            dataset=entry.name,
            title=entry.title,
            task=entry.task,
            classes=entry.classes,
            labels=entry.labels,
            channels=entry.channels,
            spatial=spatial,
            from_volumes=entry.volume is not None,
            ignore_index=VOID if entry.meaning.has_void else None,
            split=params.split,
            filter=params.filter,
            sha256=sha256,
            checksum=joint_checksum(sha256),
            reduced=fetched.reduced,
            terms=entry.terms,
            citation=entry.citation,
        )
        (partial / META).write_text(meta.model_dump_json(indent=2) + "\n")
    blocks.discard()
    return meta


def _layouts(entry: DatasetEntry, count: int, spatial: tuple[int, ...]) -> dict[str, Layout]:
    images = Layout((count, entry.channels, *spatial))
    targets = Layout((count,) if entry.task == "classification" else (count, *spatial))
    return {**dict(zip(FILES, (images, images, targets), strict=True)), ORIGINALS: Layout((count, 2), "int32")}


def _fill(blocks: Blocks, entry: DatasetEntry, raw: Path, rows: Sequence[Row], side: int, params: FilterParams) -> None:
    """Convert what `blocks` does not hold yet."""
    size = max(1, min(BLOCK_IMAGES, BLOCK_BYTES // math.prod(blocks.layouts[FILES[0]].shape[1:])))
    ranges = [range(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
    keys = {places: _key(entry, raw, [rows[place] for place in places], side, params) for places in ranges}
    waiting = [places for places in ranges if not blocks.holds(places, keys[places])]
    if kept := len(rows) - sum(map(len, waiting)):
        say(f"{entry.name}: {kept} of {len(rows)} images were filtered by an earlier run that did not end")

    def one(place: int) -> Converted:
        return convert(entry, raw, rows[place], side, params)

    done = threaded_blocks(one, waiting, f"{entry.name}: filtering", unit="images")
    for places, converted in zip(waiting, done, strict=True):
        columns = zip(*((one.image, one.filtered, one.target, one.original) for one in converted), strict=True)
        arrays = {name: np.stack(column) for name, column in zip((*FILES, ORIGINALS), columns, strict=True)}
        blocks.write(places, keys[places], arrays)


def _key(entry: DatasetEntry, raw: Path, rows: Sequence[Row], side: int, params: FilterParams) -> str:
    """Stands for all that decides what a block holds: files, settings and code."""
    paths = dict.fromkeys(raw / path for row in rows for path in (*row.case.files, *row.case.masks))
    files = {file: file.relative_to(raw).as_posix() for path in paths if path.is_file() for file in files_of(path)}
    stamps = [
        (name, (status := file.stat()).st_size, status.st_mtime_ns) if file.is_file() else name
        for file, name in files.items()
    ]
    settings = entry.model_dump_json(include={"task", "classes", "channels", "reader", "values", "volume"})
    content = [rows, stamps, settings, side, params.model_dump(), _code()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _code() -> str:
    """Of the modules that make arrays, and of the library that filters."""
    folders = [Path(file).parent for file in (__file__, datasets.__file__, readers.__file__)]
    sources = [*(path for folder in folders for path in folder.glob("*.py")), Path(images.__file__)]
    checksums = {f"{path.parent.name}/{path.name}": file_checksum(path) for path in sources}
    return joint_checksum({**checksums, "opencv": cv2.__version__})
