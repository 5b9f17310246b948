"""One process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.console import say


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
