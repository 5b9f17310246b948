"""Bring MLflow level with the trials on disk: `python -m pipelines.sync --study quickstart`.

A grid does this by itself, while it runs and at its end. If MLflow was away then (server down, its disk full), do it by
hand later, as often as you like: each trial and each value is there once.
"""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.console import StageError, bar, run_stage, say
from pipelines.files import Locked, locked
from pipelines.tracking import TRACKING_ERRORS, Mirror, tracking_uri
from pipelines.unfinished import unfinished_folder

ROOT = Path(__file__).resolve().parents[1]

INTERVAL = 2.0
"""Seconds between two passes of a follower; longer where a pass takes long, or MLflow is away."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.sync", description=__doc__.splitlines()[0])
    parser.add_argument("--study", required=True, help="name of a file in tune_spaces/, without .yaml")
    parser.add_argument("--trials", type=Path, default=Path("trials"), help="where results lie (default: trials)")
    parser.add_argument("--follow", action="store_true", help="go on until standard input ends, as for a running grid")
    options = parser.parse_args()
    results = options.trials.resolve() / options.study
    if options.follow:
        follow(results, tracking_uri())
    elif not results.is_dir():
        raise StageError(f"{results} is no folder: there are no trials to mirror. Run the grid first.")
    elif not bring_level(results, tracking_uri()):
        raise StageError("MLflow is not level with the trials on disk; mend what is said above and run this again.")


def bring_level(results: Path, uri: str) -> bool:
    """One pass with a progress bar; says what it did. Returns whether MLflow is level."""
    try:
        with _alone(results), bar(unit="trials mirrored") as progress:
            mirror = Mirror(results.name, uri)
            task = progress.add_task("MLflow", total=len(mirror.missing(results)))
            mirror.level(results, on_each=lambda: progress.advance(task))
    except TRACKING_ERRORS as error:
        say(f"MLflow at {uri} is away ({_first_line(error)}).")
        say(f"Nothing is lost: `python -m pipelines.sync --study {results.name}` brings it level with {results} later.")
        return False
    except Locked:
        say("A running grid or sync mirrors this study already.")
    return True


@contextmanager
def following(results: Path, uri: str) -> Iterator[None]:
    """A process beside this one that keeps MLflow level meanwhile. It ends with this one, however that ends."""
    command = [sys.executable, "-m", "pipelines.sync", "--study", results.name, "--trials", str(results.parent)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": path}
    process = subprocess.Popen([*command, "--follow"], stdin=subprocess.PIPE, env=environment, start_new_session=True)
    try:
        yield
    finally:
        process.kill()  # at any moment: what it had begun, the next pass makes anew
        process.communicate()


def follow(results: Path, uri: str) -> None:
    """Pass after pass until standard input ends, which it does when the process at its other end does."""
    mirror, away = None, False
    wait = INTERVAL
    while not select.select([sys.stdin], [], [], wait)[0]:
        begun = time.monotonic()
        try:
            with _alone(results):
                mirror = mirror or Mirror(results.name, uri)
                mirror.level(results)
            away = False
        except TRACKING_ERRORS as error:
            if not away:
                say(f"MLflow at {uri} is away ({_first_line(error)}); training goes on, and it will catch up.")
            mirror, away = None, True
        except Locked:
            mirror = None  # the other process changes what this one knows
        wait = max(INTERVAL, 5 * (time.monotonic() - begun), 15 * away)


@contextmanager
def _alone(results: Path) -> Iterator[None]:
    with locked(unfinished_folder(results / "any").parent / "sync.lock", patience=10):
        yield


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


if __name__ == "__main__":
    run_stage(main)
