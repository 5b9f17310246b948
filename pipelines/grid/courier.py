"""Records and saved states on their way between machines that share no disk.

A worker that does not see the driver's folder of trials trains in a folder of its own. What it saves, finishes and
fails with goes to the courier, which writes it where the driver looks; a trial that another machine has begun is taken
up from there. Where the disk is shared, as on one machine, nothing travels.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.core.archives import extract
from pipelines.core.files import flush_folder, replaced
from pipelines.trials.unfinished import LOCK, Unfinished


class Courier:
    """Keeps a folder of trials for workers that cannot see it; an actor of Ray on the driver's machine.

    Args:
        trials: The driver's folder.
    """

    def __init__(self, trials: Path) -> None:
        self._trials = trials.resolve()

    def deliver(self, place: str, parcel: bytes) -> None:
        """Put a folder at its place, whole or not at all, in the place of an older one."""
        with replaced(self._inside(place), beside=self._trials) as partial:
            unpack(parcel, partial)
            flush_folder(partial)

    def collect(self, place: str) -> bytes | None:
        """What lies there; None if nothing does."""
        folder = self._inside(place)
        return pack(folder) if folder.is_dir() else None

    def stopped(self, place: str, epochs: int) -> bool:
        """Whether the driver's search wants no more than so many epochs of the trial that trains there."""
        return Unfinished(self._inside(place)).stopped(epochs)

    def _inside(self, place: str) -> Path:
        folder = (self._trials / place).resolve()
        if not folder.is_relative_to(self._trials) or folder == self._trials:
            raise ValueError(f"{place}: not a folder of {self._trials}.")
        return folder


class Post:
    """A worker's way to the courier, and the folder of its own in which it trains meanwhile."""

    def __init__(self, courier: Any) -> None:
        self._courier = courier
        self._own = tempfile.TemporaryDirectory(prefix="dmf-trials-", ignore_cleanup_errors=True)
        self.trials = Path(self._own.name)

    def ship(self, folder: Path) -> None:
        """Send a folder to the driver, and wait until it is there."""
        ray.get(self._courier.deliver.remote(self._place(folder), pack(folder)))

    def bring(self, folder: Path) -> None:
        """Fill a folder with what the driver has of it."""
        parcel = ray.get(self._courier.collect.remote(self._place(folder)))
        if parcel is not None:
            folder.mkdir(parents=True, exist_ok=True)
            unpack(parcel, folder)

    def stopped(self, folder: Path, epochs: int) -> bool:
        """Ask the driver whether the trial that trains in a folder is to end after so many epochs."""
        return ray.get(self._courier.stopped.remote(self._place(folder), epochs))

    def _place(self, folder: Path) -> str:
        return folder.relative_to(self.trials).as_posix()


def open_courier(trials: Path) -> Any:
    """The actor, on this machine."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Courier).options(num_cpus=0, scheduling_strategy=here).remote(trials)


def pack(folder: Path) -> bytes:
    """The files of a folder, which are compressed already, as a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            if path.name != LOCK and not path.name.startswith("."):
                tar.add(path, path.name)
    return content.getvalue()


def unpack(parcel: bytes, folder: Path) -> None:
    """What `pack` packed, into a folder that is there."""
    with tarfile.open(fileobj=io.BytesIO(parcel)) as tar:
        extract(tar, folder)
