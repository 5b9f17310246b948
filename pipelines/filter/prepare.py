"""Writing the arrays of one data set, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from pipelines.arrays import CASES, COLUMNS, FILES, META, Meta, file_checksum, joint_checksum
from pipelines.catalogue import DatasetEntry
from pipelines.console import StageError
from pipelines.fetch.manifest import read_manifest
from pipelines.files import replaced
from pipelines.filter.bilateral import bilateral
from pipelines.parallel import threaded
from pipelines.params import Params
from pipelines.pictures import as_channels, resize_image, resize_mask
from pipelines.readers import Case, Patches, case_image, case_mask
from pipelines.readers.images import size_text
from pipelines.split.table import read_table, table_path


class Row(NamedTuple):
    """What a row of the split table says about files, as `DataFrame.itertuples` gives it."""

    Index: int
    image: str
    masks: str
    label: str
    sha256: str


def prepare(entry: DatasetEntry, root: Path, params: Params) -> Meta:
    """Resize and filter every image of a data set and replace `root`/arrays/<dataset>, which is as it was until then.

    Raises:
        StageError: if an image or a mask is missing, cannot be read, or does not fit.
    """
    table = read_table(table_path(root, entry.name))
    target = root / "arrays" / entry.name
    with replaced(target, beside=root) as partial:
        _write_arrays(entry, table, root / "raw" / entry.name, partial, params)
        table[list(COLUMNS)].to_csv(partial / CASES, index=False, lineterminator="\n")
        sha256 = {name: file_checksum(partial / name) for name in (*FILES, CASES)}
        meta = Meta(
            dataset=entry.name,
            task=entry.task,
            classes=entry.classes,
            labels=entry.labels,
            channels=entry.channels,
            spatial=_spatial(entry, params),
            split=params.split,
            filter=params.filter,
            sha256=sha256,
            checksum=joint_checksum(sha256),
            reduced=read_manifest(root, entry.name).reduced,
            terms=entry.terms,
            citation=entry.citation,
        )
        (partial / META).write_text(meta.model_dump_json(indent=2) + "\n")
    return meta


@dataclass(frozen=True)
class Output:
    """The three array files while they are being written."""

    images: np.memmap
    filtered: np.memmap
    targets: np.memmap

    @classmethod
    def create(cls, directory: Path, count: int, entry: DatasetEntry, spatial: tuple[int, ...]) -> Output:
        """New files of zeros in `directory`."""
        targets = (count,) if entry.task == "classification" else (count, *spatial)
        shapes = [(count, entry.channels, *spatial)] * 2 + [targets]
        return cls(
            *(
                np.lib.format.open_memmap(directory / name, mode="w+", dtype=np.uint8, shape=shape)
                for name, shape in zip(FILES, shapes, strict=True)
            )
        )


def _write_arrays(entry: DatasetEntry, table: pd.DataFrame, raw: Path, directory: Path, params: Params) -> None:
    spatial = _spatial(entry, params)
    output = Output.create(directory, len(table), entry, spatial)

    def convert(row: Row) -> None:
        image, target = _read(entry, raw, row)
        fitting = image.shape[: len(spatial)] == spatial
        small = image if fitting else resize_image(image, params.arrays.size)
        output.images[row.Index] = _planes(small)
        output.filtered[row.Index] = _filtered(entry, small, params)
        output.targets[row.Index] = target if fitting or isinstance(target, int) else resize_mask(target, spatial[-1])

    rows = [Row(*values) for values in table[[*Row._fields[1:]]].itertuples()]
    threaded(convert, rows, f"{entry.name}: filtering", unit="images")
    for array in (output.images, output.filtered, output.targets):
        array.flush()


def _spatial(entry: DatasetEntry, params: Params) -> tuple[int, ...]:
    """Patches keep their size; everything else becomes square."""
    return entry.volume.size if isinstance(entry.volume, Patches) else (params.arrays.size, params.arrays.size)


def _planes(image: UInt8[np.ndarray, "*S"]) -> UInt8[np.ndarray, "C S *S"]:
    return image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)


def _filtered(entry: DatasetEntry, image: UInt8[np.ndarray, "*S"], params: Params) -> UInt8[np.ndarray, "C S *S"]:
    """Colours are filtered together, modalities of a volume each alone and slice by slice."""
    if entry.volume is None:
        return _planes(bilateral(image, params.filter))
    planes = _planes(image)
    slices = planes.reshape(-1, *planes.shape[-2:])
    return np.stack([bilateral(plane, params.filter) for plane in slices]).reshape(planes.shape)


def _read(entry: DatasetEntry, raw: Path, row: Row) -> tuple[np.ndarray, np.ndarray | int]:
    """An image with its mask, or with the index of its label among the classes."""
    case = Case.named(row.image, row.masks, row.label)
    path = raw / case.image
    remedy = f"Mend or delete {raw}, then `dvc repro --force fetch`."
    if not path.is_file():
        raise StageError(f"{path} is missing, but the split lists it. {remedy}")
    if file_checksum(path) != row.sha256:
        raise StageError(f"{path} has changed since the split was made. Make it again with `dvc repro audit split`.")
    try:
        image = as_channels(case_image(entry, raw, case), entry.channels)
    except ValueError as error:
        raise StageError(f"{path}: {error} Correct `channels` of {entry.name} in the catalogue.") from None
    if entry.task == "classification":
        if case.label not in entry.classes:
            known = ", ".join(entry.classes)
            raise StageError(f"{path} is labelled {case.label!r}; {entry.name} has the classes {known}. {remedy}")
        return image, entry.classes.index(case.label)
    mask = case_mask(entry, raw, case)
    if mask.shape != image.shape[: mask.ndim]:
        found, expected = (size_text(shape) for shape in (mask.shape, image.shape[: mask.ndim]))
        raise StageError(
            f"{raw / case.masks[0]}: expected {expected} pixels, the size of {path.name}. Found {found}. {remedy}"
        )
    return image, mask
