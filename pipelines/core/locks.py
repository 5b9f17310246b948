"""Locks between processes: held by one at a time, and let go of by the system when their holder ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.core.console import StageError, say

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems say that cannot lock."""


class Locked(Exception):
    """Another live process holds the lock."""


@contextmanager
def locked(path: Path, *, patience: float = 0, waits: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a lock that its process alone can hold, and that ends with the process, however that ends.

    Args:
        path: The lock file; made if it is not there.
        patience: Seconds to wait for another process to let go of it.
        waits: Called once, if there is another one.

    Raises:
        Locked: if another process still holds it after `patience` seconds.
        StageError: if the file system has no locks.
    """
    deadline, told = time.monotonic() + patience, False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            if _take(file, path):
                yield
                return
        if time.monotonic() >= deadline:
            raise Locked(f"{path} is held by another process.")
        if not told:
            waits()
            told = True
        time.sleep(0.1)


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock. Reads only, so that anybody may ask."""
    try:
        with path.open() as file:
            return not _lock(file, path, fcntl.LOCK_SH)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def alone(lock: Path, name: str) -> Iterator[None]:
    """Keep other processes out for as long as it takes, saying so if there is one."""
    with locked(
        lock,
        patience=float("inf"),
        waits=lambda: say(f"{name}: another process is fetching it; waiting ..."),
    ):
        yield


def _take(file: IO[str], path: Path) -> bool:
    """Lock an open file, unless another process has, or has removed the file meanwhile with the folder around it."""
    if not _lock(file, path, fcntl.LOCK_EX):
        return False
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: IO[str], path: Path, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        raise StageError(
            f"{path}: the file system has no locks ({error.strerror}), so two processes could write here at once. Name "
            "a folder on another disk, or mount this one with locks (`man 2 flock`)."
        ) from None
    return True
