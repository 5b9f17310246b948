"""Locks between processes: held by one at a time, and let go of by the system when their holder ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pipelines.core.console import say


class Locked(Exception):
    """Another live process holds the lock."""


@contextmanager
def locked(path: Path, *, patience: float = 0) -> Iterator[None]:
    """Hold a lock that its process alone can hold, and that ends with the process, however that ends.

    Raises:
        Locked: if another process still holds it after `patience` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Locked(f"{path} is held by another process.") from None
                time.sleep(0.1)
        yield


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock."""
    try:
        with locked(path.resolve()) if path.exists() else nullcontext():
            return False
    except Locked:
        return True


@contextmanager
def alone(lock: Path, name: str) -> Iterator[None]:
    """Keep other processes out; the system lets go of the lock even if this one is killed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another process is fetching it; waiting ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
