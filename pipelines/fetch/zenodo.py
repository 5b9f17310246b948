"""Files of a record on Zenodo."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.datasets.sources import Zenodo
from pipelines.fetch.download import download

RECORDS = "https://zenodo.org/api/records"


def from_zenodo(source: Zenodo, target: Path, checksum: str | None) -> None:
    """Download a file of a record, whose size and checksum the record tells where the catalogue does not.

    Raises:
        StageError: if the record or the file cannot be had, listing the files that the record has.
    """
    url, size, md5 = _find(source, target)
    download(url, target, size=source.bytes or size, checksum=checksum or md5)


def _find(source: Zenodo, target: Path) -> tuple[str, int, str]:
    address, answer = f"{RECORDS}/{source.record}", target.with_name(f".{target.name}.record")
    try:
        download(address, answer)
        files = {file["key"]: file for file in json.loads(answer.read_text())["files"]}
        if source.file not in files:
            known = ", ".join(sorted(files)) or "none"
            raise StageError(f"{address}: the record has no file {source.file}. Found {known}.")
        found = files[source.file]
        return str(found["links"]["self"]), int(found["size"]), str(found["checksum"])
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"{address}: not a description of a record ({type(error).__name__}: {error}).") from None
    finally:
        answer.unlink(missing_ok=True)
