"""Download a file over HTTP: streaming, resumed where it broke off, retried, verified."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import requests

from pipelines.core.checksums import digest
from pipelines.core.console import StageError, bar, say

ATTEMPTS = 4
"""Requests without progress before giving up."""
FIRST_PAUSE = 0.5
"""Seconds before the second request; doubles with every further one."""
TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for data."""
CHUNK = 1 << 16
BUSY = {408, 425, 429}
MEGA = 1e6


class _TryAgainError(Exception):
    """Something that may be gone in a moment."""


def download(url: str, target: Path, *, size: int | None = None, checksum: str | None = None) -> None:
    """Bring `url` to `target`, which appears only when it is complete and verified.

    An interrupted download waits beside the target as `.part` and is resumed, if the server still has the same file.

    Args:
        url: What to get.
        target: Where to put it.
        size: Bytes that the file must have.
        checksum: `sha256:...` or `md5:...` that it must have.

    Raises:
        StageError: if the server refuses, serves something else, or stays unreachable.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(f"{target}.part")
    failures, furthest = 0, _size(part)
    while True:
        resumed_at = _size(part)
        try:
            _receive(url, part, size, checksum)
            if checksum is None or digest(part, checksum.split(":")[0]) == checksum:
                break
            found = digest(part, checksum.split(":")[0])
            _discard(part)
            if not resumed_at:
                raise StageError(f"{url}: the file has another checksum. Expected {checksum}. Found {found}.")
            raise _TryAgainError("the resumed file has another checksum; starting over")
        except _TryAgainError as error:
            problem = str(error)
        except requests.Timeout:
            problem = "no answer in time"
        except requests.ConnectionError:
            problem = "no connection"
        except requests.exceptions.ChunkedEncodingError:
            problem = f"the connection broke after {_size(part):,} bytes"
        except requests.RequestException as error:
            raise StageError(f"{url}: cannot be requested ({error}).") from None
        except OSError as error:
            raise StageError(f"{part}: cannot be written ({error.strerror}).") from None
        failures = 0 if _size(part) > furthest else failures + 1
        furthest = max(furthest, _size(part))
        if failures >= ATTEMPTS:
            raise StageError(f"{url}: given up after {ATTEMPTS} attempts without progress ({problem}).")
        pause = FIRST_PAUSE * 2 ** max(failures - 1, 0)
        say(f"  {problem}; trying again in {pause:g} s")
        time.sleep(pause)
    os.replace(part, target)
    _discard(part)


def _receive(url: str, part: Path, size: int | None, checksum: str | None) -> None:
    """One request, appended to what is there already."""
    headers, have = _headers(part, size, checksum)
    if size is not None and have == size:
        return
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        status = answer.status_code
        if status == 416:
            _discard(part)
            raise _TryAgainError("the server cannot resume; starting over")
        if status in BUSY or status >= 500:
            raise _TryAgainError(f"the server answered {status} {answer.reason}")
        if status >= 400:
            raise StageError(f"{url}: the server answered {status} {answer.reason}.")
        resumed = status == 206
        span, _, whole = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if resumed and not span.startswith(f"{have}-"):
            _discard(part)
            raise _TryAgainError(f"the server resumed elsewhere ({span or 'unknown'}); starting over")
        if resumed and _is_another(answer, _noted_version(part)):
            _discard(part)
            raise _TryAgainError("the server resumed another version of the file; starting over")
        length = whole if resumed else answer.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        if size is not None and total is not None and total != size:
            _discard(part)
            raise StageError(f"{url}: the file has another length. Expected {size:,} bytes. Found {total:,}.")
        if not resumed:
            _begin(part, _version(answer))
        _save(answer, part, have, size or total)
    if (size or total) is not None and _size(part) != (size or total):
        raise _TryAgainError(f"the connection closed after {_size(part):,} of {size or total:,} bytes")


def _save(answer: requests.Response, part: Path, start: int, total: int | None) -> None:
    with bar(unit="MB") as progress, part.open("ab") as file:
        task = progress.add_task(part.stem, total=total and total / MEGA)
        progress.advance(task, start / MEGA)
        for chunk in answer.iter_content(CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk) / MEGA)


def _headers(part: Path, size: int | None, checksum: str | None) -> tuple[dict[str, str], int]:
    """Ask for the rest of a file, if it can be told that it is a rest of the same file."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "dmf-fetch"}
    same, have = _noted_version(part), _size(part)
    if have and (size is None or have <= size) and (same or checksum):
        headers["Range"] = f"bytes={have}-"
        if same:
            headers["If-Range"] = same
        return headers, have
    part.unlink(missing_ok=True)
    return headers, 0


def _begin(part: Path, version: str | None) -> None:
    """An empty file and, only then, the note of what will be in it: a kill in between must not join two versions."""
    _discard(part)
    part.touch()
    if version:
        _version_file(part).write_text(json.dumps(version))


def _version(answer: requests.Response) -> str | None:
    """What tells this version of a file from others, in a form that `If-Range` takes."""
    tag = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified") if not tag or tag.startswith("W/") else tag


def _is_another(answer: requests.Response, noted: str | None) -> bool:
    """Whether the rest is said to be of another version: servers may ignore `If-Range`."""
    header = "ETag" if noted and noted.startswith('"') else "Last-Modified"
    return noted is not None and answer.headers.get(header, noted) != noted


def _noted_version(part: Path) -> str | None:
    note = _version_file(part)
    return json.loads(note.read_text()) if note.exists() else None


def _version_file(part: Path) -> Path:
    return Path(f"{part}.version")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
