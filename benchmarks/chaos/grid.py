"""A grid that is disturbed: its driver and what can be found of it, and somebody who starts it again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.chaos.servers import Proxy, Server
from tests.support.grids import finished, start, syncs_of, workers_of

Found = TypeVar("Found")


class Grid:
    """The study "tiny" of a folder, running.

    Args:
        trials: How many it has.
        hold: Seconds that a fault lasts which ends by itself.

    Attributes:
        disk_was_full: Whether the disk has been since the driver was started, which is what may end it.
        written: Inode of each trial's record when it was first seen.
        rewritten: Trials whose record was written again.
    """

    def __init__(
        self, folder: Path, data: Path, server: Server, proxy: Proxy, trials: int, hold: float, chance: random.Random
    ) -> None:
        self.folder, self.server, self.proxy = folder, server, proxy
        self.trials, self.hold, self.chance = trials, hold, chance
        self.room = folder / "trials" / ".unfinished" / "tiny"
        self.written: dict[str, int] = {}
        self.rewritten: set[str] = set()
        self._data = data
        self.begin()

    def begin(self) -> None:
        self.driver = start(self._data, self.folder, self.proxy.uri)
        self.disk_was_full = False

    def begin_again(self) -> bool:
        """Once the driver has ended. Raises RuntimeError if it had no cause to."""
        if self.driver.wait() > 0 and not self.disk_was_full:
            raise RuntimeError("The grid ended with failed trials.")
        self.begin()
        return True

    def until(self, condition: Callable[[], Found]) -> Found | None:
        """Wait, and start a driver again that a full disk has ended. None if the grid is done before it happens."""
        while not (found := condition()):
            if self.driver.poll() is not None:
                if self.driver.returncode == 0:
                    return condition() or None
                self.begin_again()
            time.sleep(0.05)
        return found

    def finish(self) -> None:
        self.until(lambda: False)
        self.look()

    def look(self) -> int:
        """Note which records there are, and which have been written again. Returns how many there are."""
        for identifier in finished(self.folder):
            inode = (self.folder / "trials" / "tiny" / identifier / "trial.json").stat().st_ino
            if self.written.setdefault(identifier, inode) != inode:
                self.rewritten.add(identifier)
        return len(self.written)

    @property
    def trains(self) -> bool:
        """Whether there is a worker, and a saved state."""
        return bool(self.workers()) and any(self.room.glob("*/checkpoint.pt"))

    def workers(self) -> list[psutil.Process]:
        return workers_of(self.driver)

    def syncs(self) -> list[psutil.Process]:
        return syncs_of(self.driver.pid)
