"""Writing the arrays of one data set: in blocks of bounded memory, on all cores, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipelines.artifacts.arrays import CASES, COLUMNS, FILES, META, Meta
from pipelines.artifacts.manifest import read_manifest
from pipelines.artifacts.split_table import read_table, table_path
from pipelines.core import images
from pipelines.core.checksums import file_checksum, joint_checksum
from pipelines.core.console import say
from pipelines.core.files import replaced
from pipelines.core.parallel import threaded_blocks
from pipelines.datasets import readers
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import Params
from pipelines.datasets.preparation import Converted, Row, convert, spatial_shape
from pipelines.filter.blocks import Blocks

BLOCK_IMAGES, BLOCK_BYTES = 256, 2**25
"""A block ends at as many images, or at as many bytes of them; about two of them are in memory."""


def prepare(entry: DatasetEntry, root: Path, params: Params) -> Meta:
    """Resize and filter every image of a data set and replace `root`/arrays/<dataset>, which is as it was until then.

    A run that was killed, or stopped at a broken file, keeps its finished blocks; the next one filters what is
    missing or would now come out differently.

    Raises:
        StageError: if an image or a mask is missing, cannot be read, or does not fit.
    """
    table, fetched = read_table(table_path(root, entry.name)), read_manifest(root, entry.name)
    rows = [Row(*values) for values in table[[*Row._fields[1:]]].itertuples()]
    blocks = Blocks(root / f".arrays-{entry.name}.blocks", _shapes(entry, len(rows), params))
    blocks.open()
    try:
        _fill(blocks, entry, root / "raw" / entry.name, rows, params)
    finally:
        blocks.close()
    with replaced(root / "arrays" / entry.name, beside=root) as partial:
        for name in FILES:
            (blocks.folder / name).rename(partial / name)
        table[list(COLUMNS)].to_csv(partial / CASES, index=False, lineterminator="\n")
        sha256 = {name: file_checksum(partial / name) for name in (*FILES, CASES)}
        meta = Meta(
            dataset=entry.name,
            task=entry.task,
            classes=entry.classes,
            labels=entry.labels,
            channels=entry.channels,
            spatial=spatial_shape(entry, params),
            from_volumes=entry.volume is not None,
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


def _shapes(entry: DatasetEntry, count: int, params: Params) -> dict[str, tuple[int, ...]]:
    spatial = spatial_shape(entry, params)
    images = (count, entry.channels, *spatial)
    targets = (count,) if entry.task == "classification" else (count, *spatial)
    return dict(zip(FILES, (images, images, targets), strict=True))


def _fill(blocks: Blocks, entry: DatasetEntry, raw: Path, rows: Sequence[Row], params: Params) -> None:
    """Convert what `blocks` does not hold yet."""
    size = max(1, min(BLOCK_IMAGES, BLOCK_BYTES // math.prod(blocks.shapes[FILES[0]][1:])))
    ranges = [range(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
    keys = {places: _key(entry, raw, [rows[place] for place in places], params) for places in ranges}
    waiting = [places for places in ranges if not blocks.holds(places, keys[places])]
    if kept := len(rows) - sum(map(len, waiting)):
        say(f"{entry.name}: {kept} of {len(rows)} images were filtered by an earlier run that did not end")

    def one(place: int) -> Converted:
        return convert(entry, raw, rows[place], params)

    done = threaded_blocks(one, waiting, f"{entry.name}: filtering", unit="images")
    for places, converted in zip(waiting, done, strict=True):
        columns = zip(*((one.image, one.filtered, one.target) for one in converted), strict=True)
        arrays = {name: np.stack(column) for name, column in zip(FILES, columns, strict=True)}
        blocks.write(places, keys[places], arrays)


def _key(entry: DatasetEntry, raw: Path, rows: Sequence[Row], params: Params) -> str:
    """Stands for all that decides what a block holds: files, settings and code."""
    files = {path: raw / path for row in rows for path in (*row.case.files, *row.case.masks)}
    stamps = [
        (path.as_posix(), (status := file.stat()).st_size, status.st_mtime_ns) if file.is_file() else path.as_posix()
        for path, file in files.items()
    ]
    settings = entry.model_dump_json(include={"task", "classes", "channels", "reader", "volume"})
    content = [rows, stamps, settings, params.arrays.model_dump(), params.filter.model_dump(), _code()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _code() -> str:
    """Of the modules that make arrays, and of the library that filters."""
    folders = (Path(__file__).parent, Path(readers.__file__).parent)
    sources = [*(path for folder in folders for path in folder.glob("*.py")), Path(images.__file__)]
    checksums = {f"{path.parent.name}/{path.name}": file_checksum(path) for path in sources}
    return joint_checksum({**checksums, "opencv": cv2.__version__})
