"""The records that a report carries: all that it takes to verify its numbers on another machine.

<reports>/<study>/records.tar.zst holds
    records/<identifier>/                its folder without its network, as `pipelines.trials.record` describes it
    records/images/<dataset>-<size>.csv  digests of every prepared image and target, see `image_table`

One archive, since trials have most of their bytes in common: a quarter of what they take one by one.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import numpy as np
import pandas as pd
import zstandard

from pipelines.artifacts.arrays import PreparedData
from pipelines.core.archives import extract
from pipelines.core.console import StageError
from pipelines.trials.record import DONE, EPOCHS, HISTORY, IMAGES, PREDICTIONS, TrialRecord, read_trial

ARCHIVE = "records.tar.zst"
FOLDER, TABLES = "records", "images"
CARRIED = (DONE, HISTORY, EPOCHS, IMAGES, PREDICTIONS)
IMAGE, ARRAYS = "image", ("images", "filtered", "targets")
"""Columns of the table of images: its name, and a digest for each of the arrays."""

COMPRESSION = zstandard.ZstdCompressionParameters.from_level(9, window_log=27, enable_ldm=True, write_checksum=True)
"""It finds what two trials have in common up to 128 MiB apart, the most that a reader takes unasked."""


def image_table(prepared: PreparedData) -> pd.DataFrame:
    """One row a prepared image, in the order of the arrays: its name, and 16 hexadecimal digits for each array's."""
    arrays = {name: getattr(prepared, name) for name in ARRAYS}
    digests = {name: [_digest(entry) for entry in array] for name, array in arrays.items()}
    return pd.DataFrame({IMAGE: prepared.cases[IMAGE], **digests})


def table_name(dataset: str, size: int) -> str:
    """What the table of a data set at a size is called."""
    return f"{dataset}-{size}.csv"


def write_bundle(records: Iterable[TrialRecord], tables: Mapping[str, pd.DataFrame], report: Path) -> None:
    """Put the records of a study, each trial once, and the tables of images by `table_name`, into its report.

    The same records give the same bytes.
    """
    report.mkdir(parents=True, exist_ok=True)
    with (
        (report / ARCHIVE).open("wb") as file,
        zstandard.ZstdCompressor(compression_params=COMPRESSION).stream_writer(file) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, table in sorted(tables.items()):
            _add(archive, f"{FOLDER}/{TABLES}/{name}", table.to_csv(index=False).encode())
        chosen = {record.identifier: record.folder for record in records}
        for identifier, folder in sorted(chosen.items()):
            for name in CARRIED:
                _add(archive, f"{FOLDER}/{identifier}/{name}", (folder / name).read_bytes())


@contextmanager
def unpacked(report: Path) -> Iterator[Path]:
    """A temporary folder with the records that a report carries, for `read_bundle` and `read_image_table`.

    Raises:
        StageError: if it carries none, or they are damaged.
    """
    path = report / ARCHIVE
    with TemporaryDirectory(prefix="dmf-records-") as folder:
        try:
            with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as content:
                _extract(content, Path(folder))
        except FileNotFoundError as error:
            raise StageError(f"{path} is missing. Make the report first: `make repro`.") from error
        except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
            raise StageError(f"{path} is damaged: {error}. Make it again: `dvc repro --force report`.") from error
        yield Path(folder)


def read_bundle(unpacked: Path) -> list[TrialRecord]:
    """The records that a report carries, by identifier. Raises StageError if one is damaged."""
    return [read_trial(path.parent) for path in sorted((unpacked / FOLDER).glob(f"*/{DONE}"))]


def read_image_table(unpacked: Path, dataset: str, size: int) -> pd.DataFrame:
    """The table of images that a report carries. Raises StageError if it carries none for this data set and size."""
    path = unpacked / FOLDER / TABLES / table_name(dataset, size)
    if not path.is_file():
        raise StageError(f"The report carries no {path.name}. Make it again: `dvc repro --force report`.")
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, BytesIO(content))


def _extract(content: IO[bytes], folder: Path) -> None:
    with tarfile.open(fileobj=content, mode="r|") as archive:
        extract(archive, folder)


def _digest(entry: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(entry).tobytes()).hexdigest()[:16]
