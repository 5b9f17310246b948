"""Whether the data at hand are those that a trial was trained on, and if not, which image is another one."""

from __future__ import annotations

from pathlib import Path

from pipelines.artifacts import arrays
from pipelines.artifacts.arrays import FILES, PreparedData
from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.trials.bundle import ARRAYS, IMAGE, image_table, read_image_table
from pipelines.trials.record import TrialRecord

SHOWN = 3
"""Images that are named, of those that differ."""


def require_intact(prepared: PreparedData) -> None:
    """Read every byte of the arrays. Raises StageError if a file is not what was written beside its checksum."""
    for name in FILES:
        told, found = prepared.meta.sha256[name], file_checksum(prepared.directory / name)
        if told != found:
            raise StageError(
                f"{prepared.directory / name}: found SHA-256 {found[:16]}, expected {told[:16]} (meta.json). Prepare "
                "it again with `dvc repro --force filter`."
            )


def data_differences(record: TrialRecord, data: Path, carried: Path) -> list[str]:
    """Sentences that say where the prepared data differ from the record's; none if they are the same.

    Args:
        carried: what the report carries, `unpacked`.

    Raises:
        StageError: if the data set is not prepared at the trial's size, or its files are damaged.
    """
    spec = record.spec
    prepared = arrays.load(data, spec.dataset, spec.image_size)
    require_intact(prepared)
    if prepared.digest(spec.split, spec.filtered) == record.data_checksum:
        return []
    told, found = read_image_table(carried, spec.dataset, spec.image_size), image_table(prepared)
    if told[IMAGE].to_list() != found[IMAGE].to_list():
        gone, new = (sorted({*a[IMAGE]} - {*b[IMAGE]}) for a, b in ((told, found), (found, told)))
        return [f"the images: {len(told)} recorded, {len(found)} found; missing {gone[:SHOWN]}, new {new[:SHOWN]}"]
    sentences = []
    for name in ARRAYS:
        other = found[IMAGE][(told[name] != found[name]).to_numpy()].to_list()
        if other:
            shown = ", ".join(other[:SHOWN])
            sentences.append(f"{name}.npy: {len(other)} of {len(found)} images differ, first {shown}")
    return sentences or [f"every image is equal; the rows of split {spec.split!r}, the classes or pixel sizes differ"]
