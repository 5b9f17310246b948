"""What breaks, each kind by its name. A fault says whether it took place: the grid may be done before it can."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.chaos.grid import Grid
from pipelines.trials.unfinished import Unfinished

Fault = Callable[[Grid], bool]
FAULTS: dict[str, Fault] = {}
WORDS: dict[str, str] = {}
"""How a table calls them."""

BALLAST = ".ballast"
HOUR = 3600.0


def fault(words: str) -> Callable[[Fault], Fault]:
    """Put a fault on the list, by the name of its function."""

    def listed(function: Fault) -> Fault:
        name = function.__name__.replace("_", "-")
        FAULTS[name], WORDS[name] = function, words
        return function

    return listed


@fault("SIGKILL of a worker")
def kill_worker(grid: Grid) -> bool:
    return _signal(grid, grid.workers, signal.SIGKILL)


@fault("SIGTERM of a worker")
def end_worker(grid: Grid) -> bool:
    return _signal(grid, grid.workers, signal.SIGTERM)


@fault("SIGSTOP of a worker, then SIGCONT")
def stop_worker(grid: Grid) -> bool:
    return _stop(grid, grid.workers)


@fault("SIGKILL of the driver")
def kill_driver(grid: Grid) -> bool:
    grid.driver.kill()
    return grid.begin_again()


@fault("SIGTERM of the driver")
def end_driver(grid: Grid) -> bool:
    grid.driver.terminate()
    grid.driver.wait()
    grid.begin()
    return True


@fault("SIGSTOP of the driver, then SIGCONT")
def stop_driver(grid: Grid) -> bool:
    return _stop(grid, lambda: [psutil.Process(grid.driver.pid)])


@fault("SIGKILL of sync")
def kill_sync(grid: Grid) -> bool:
    return _signal(grid, grid.syncs, signal.SIGKILL)


@fault("SIGKILL of the MLflow server")
def kill_server(grid: Grid) -> bool:
    grid.server.restart()
    return True


@fault("MLflow answers 500, then slowly")
def bad_server(grid: Grid) -> bool:
    for mode in ("failing", "slow"):
        grid.proxy.mode = mode  # type: ignore[assignment]
        time.sleep(grid.hold / 2)
    grid.proxy.mode = "through"
    return True


@fault("full disk")
def full_disk(grid: Grid) -> bool:
    """Fill it, again and again as something is removed; then make room."""
    grid.disk_was_full = True
    disk, until = grid.folder / "trials", time.monotonic() + grid.hold
    ballast = disk / BALLAST
    with ballast.open("wb") as file:
        while time.monotonic() < until:
            state, size = os.statvfs(disk), os.fstat(file.fileno()).st_size
            if room := state.f_bavail * state.f_frsize:
                with suppress(OSError):  # somebody else was faster
                    os.posix_fallocate(file.fileno(), size, room)
            time.sleep(0.02)
    ballast.unlink()
    return True


@fault("clock set back an hour")
def clock_back(grid: Grid) -> bool:
    """All that is on disk is of an hour ahead, which is what a process sees whose clock has been set back."""
    for path in (grid.folder / "trials").rglob("*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            os.utime(path, (status.st_atime + HOUR, status.st_mtime + HOUR))
    return True


@fault("a flipped byte in a saved state")
def flipped_byte(grid: Grid) -> bool:
    """In a file from which a trial goes on; its worker is killed, so that it must."""

    def flip_one() -> bool:
        for worker in grid.workers():
            with suppress(psutil.Error):
                worker.suspend()
                if files := _saved_by(grid, worker.pid):
                    _flip(grid, grid.chance.choice(files))
                    worker.kill()
                    return True
                worker.resume()
        return False

    return bool(grid.until(flip_one))


def _saved_by(grid: Grid, process: int) -> list[Path]:
    """States and rows of the trial that a process trains."""
    for folder in grid.room.glob("*/"):
        attempts = Unfinished(folder).progress().attempts
        if attempts and attempts[-1].process == process:
            return sorted([*folder.glob("*.pt"), *folder.glob("*.parquet")])
    return []


def _flip(grid: Grid, path: Path) -> None:
    with path.open("r+b") as file:
        place = grid.chance.randrange(path.stat().st_size)
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << grid.chance.randrange(8)]))


def _signal(grid: Grid, find: Callable[[], list[psutil.Process]], number: signal.Signals) -> bool:
    def send() -> bool:
        for process in find()[:1]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                return True
        return False

    return bool(grid.until(send))


def _stop(grid: Grid, find: Callable[[], list[psutil.Process]]) -> bool:
    if not (found := grid.until(find)):
        return False
    with suppress(psutil.NoSuchProcess):
        found[0].suspend()
        time.sleep(grid.hold)
        found[0].resume()
    return True
