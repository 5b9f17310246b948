"""Keeping MLflow level with the trials on disk: once, or as long as a grid runs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from pipelines.core.console import bar, say
from pipelines.core.locks import Locked, locked
from pipelines.trials.mirror import TRACKING_ERRORS, Mirror, origin_of
from pipelines.trials.tracking import shown
from pipelines.trials.unfinished import unfinished_folder

ROOT = Path(__file__).resolve().parents[2]

INTERVAL = 2.0
"""Seconds between two passes of a follower; longer where a pass takes long, or MLflow is away."""


def bring_level(results: Path, uri: str) -> bool:
    """One pass with a progress bar; says what it did. Returns whether MLflow is level."""
    try:
        with _alone(results), bar(unit="trials mirrored") as progress:
            mirror = _mirror(results, uri)
            task = progress.add_task("MLflow", total=len(mirror.missing(results)))
            mirror.level(results, on_each=lambda: progress.advance(task))
    except TRACKING_ERRORS as error:
        say(f"MLflow at {shown(uri)} is away ({_first_line(error)}).")
        say(f"Nothing is lost: `python -m pipelines.sync --study {results.name}` brings it level with {results} later.")
        return False
    except Locked:
        say("A running grid or sync mirrors this study already.")
    return True


@contextmanager
def following(results: Path, uri: str) -> Iterator[None]:
    """A process beside this one that keeps MLflow level meanwhile, and another one whenever it is killed.

    It ends with this one, however that ends.
    """
    command = [sys.executable, "-m", "pipelines.sync", "--study", results.name, "--trials", str(results.parent)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": path}
    over = Event()

    def keep() -> None:
        while not over.is_set():
            process = subprocess.Popen(
                [*command, "--follow"], stdin=subprocess.PIPE, env=environment, start_new_session=True
            )
            while process.poll() is None and not over.wait(0.2):
                pass
            process.kill()  # at any moment: what it had begun, the next pass makes anew
            process.communicate()
            if process.returncode >= 0:  # by itself: the next one would do no better
                return
            over.wait(INTERVAL)

    keeper = Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def follow(results: Path, uri: str) -> None:
    """Pass after pass until standard input ends, which it does when the process at its other end does."""
    mirror, away = None, False
    wait = INTERVAL
    while not select.select([sys.stdin], [], [], wait)[0]:
        begun = time.monotonic()
        try:
            with _alone(results):
                mirror = mirror or _mirror(results, uri)
                mirror.level(results)
            away = False
        except TRACKING_ERRORS as error:
            if not away:
                say(f"MLflow at {shown(uri)} is away ({_first_line(error)}); training goes on, and it will catch up.")
            mirror, away = None, True
        except Locked:
            mirror = None  # the other process changes what this one knows
        wait = max(INTERVAL, 5 * (time.monotonic() - begun), 15 * away)


@contextmanager
def _alone(results: Path) -> Iterator[None]:
    with locked(unfinished_folder(results / "any").parent / "sync.lock", patience=10):
        yield


def _first_line(error: Exception) -> str:
    return shown(str(error).strip().partition("\n")[0])[:200]


def _mirror(results: Path, uri: str) -> Mirror:
    return Mirror(results.name, uri, origin_of(results.parent))
