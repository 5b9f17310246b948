"""Files and folders that are there whole or not at all, whatever is killed while they are written.

A power cut may take what no `flush_to_disk` has waited for. Results and saved states are waited for, as they are what
nobody has twice; pages, tables and prepared images can be made again, and the next stage says if one is damaged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

LEFT_BEHIND = {"thumbs.db", "desktop.ini", "ehthumbs.db", "system volume information", "lost+found"}


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there: nobody ever sees a half-written file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replaced(target: Path, beside: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `target` once the block has ended well.

    What a killed run left behind is cleared first, and `target` put back if it was killed in the middle of the swap.
    """
    partial, old = (beside / f".{target.parent.name}-{target.name}.{state}" for state in ("partial", "old"))

    def tidy() -> None:
        if old.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            old.rename(target)
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)

    tidy()
    partial.mkdir(parents=True)
    try:
        yield partial
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        flush_to_disk(target.parent, beside)
    finally:
        tidy()


def flush_to_disk(*paths: Path) -> None:
    """Wait until files, and the names in folders, survive a power cut; all at once, as disks gather what comes so."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(_flush, paths))


def flush_folder(folder: Path) -> None:
    """The same for a folder's files and their names."""
    flush_to_disk(*folder.iterdir(), folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_left_behind(name: str) -> bool:
    """Whether systems and not people give a file or folder this name: `.DS_Store`, `__MACOSX`, `@eaDir`."""
    return name.startswith((".", "@", "#recycle", "$RECYCLE", "__MACOSX")) or name.lower() in LEFT_BEHIND


def link_or_copy(path: Path, target: Path) -> None:
    """A second name for a file, or a copy where the disk can give none. Raises FileExistsError if `target` is there."""
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:  # another disk, or a file system without links
        shutil.copy2(path, target)
