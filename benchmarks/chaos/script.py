"""Whether a grid loses anything: what may break is broken at random while it runs.

    python -m benchmarks.chaos

Runs a study of small trials undisturbed, then again with faults of all kinds of `benchmarks.chaos.faults`, and compares
every record. Drivers and servers that end are started again, as a person would. Needs the prepared phantom:
`dvc repro filter`.

Trials lie on a small disk in memory, which is mounted for the run and can be filled; where mounting is not allowed,
that fault is left out and the results say so. The machine's clock is never touched: for whoever compares clock and
disk, setting the one back is the same as setting the other forward, so the times of all files are. (Ray does not start
under libfaketime 0.9.10: with the monotonic clock left alone, `time.sleep` of Python 3.11 fails.)
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos.compare import find
from benchmarks.chaos.faults import FAULTS, WORDS
from benchmarks.chaos.grid import Grid
from benchmarks.chaos.servers import proxy_before, server_at
from benchmarks.harness.measure import Stopwatch
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table
from pipelines.trials.mirroring import bring_level
from tests.support.commands import wait_for
from tests.support.grids import LONG, start, tiny

DISK = "64m"


@dataclass(frozen=True)
class Setting:
    data: Path = option(Path("data"), "folder with the prepared phantom")
    seeds: int = option(30, "trials of each of two configurations")
    epochs: int = option(5 * LONG, "of each trial")
    faults: int = option(40, "spread over the grid")
    kinds: tuple[str, ...] = option(tuple(FAULTS), "of faults, drawn equally often", choices=tuple(FAULTS))
    hold: float = option(60.0, "seconds that a fault lasts which ends by itself")
    pause: float = option(3.0, "seconds that a fault waits for, at most, once it is due")
    seed: int = option(0, "of the draw")


def disturb(grid: Grid, faults: int, kinds: Sequence[str], pause: float) -> list[dict[str, Any]]:
    """Let the faults happen; returns once every trial is done.

    They are spread over the grid: the k-th of n comes a random pause after k / (n + 1) of the trials are done, so that
    some are always in training, however fast the machine is.

    Returns:
        For each that took place, seconds since the start, kind, and how many trials were done.
    """
    drawn = [kinds[number % len(kinds)] for number in range(faults)]
    grid.chance.shuffle(drawn)
    happened, begun = [], time.monotonic()
    for number, kind in enumerate(drawn):
        due = grid.trials * number // (faults + 1)
        if not grid.until(lambda: grid.trains and grid.look() >= due):  # noqa: B023
            break
        time.sleep(grid.chance.uniform(0, pause))
        second, done = round(time.monotonic() - begun, 1), grid.look()
        if FAULTS[kind](grid):
            happened.append({"second": second, "kind": kind, "done": done})
            print(f"{second:8.1f} s  {WORDS[kind]:34} {done} trials done", flush=True)
    grid.finish()
    return happened


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk in memory, if mounting is allowed; says whether it is."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        mounted = not subprocess.run(mount, capture_output=True).returncode
    except OSError:  # no such command
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def measure(setting: Setting) -> Results:
    data = setting.data.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        calm, wild = Path(scratch) / "calm", Path(scratch) / "wild"
        for folder in (calm, wild):
            folder.mkdir()
            tiny(folder, seeds=setting.seeds, trial={"epochs": setting.epochs})
        with Stopwatch() as undisturbed:
            if start(data, calm).wait() != 0:
                raise RuntimeError("The undisturbed grid failed.")
        with small_disk(wild / "trials") as may_fill, server_at(wild) as server, proxy_before(server) as proxy:
            kinds = [kind for kind in setting.kinds if may_fill or kind != "full-disk"]
            with Stopwatch() as disturbed:
                chance = random.Random(setting.seed)
                grid = Grid(wild, data, server, proxy, 2 * setting.seeds, setting.hold, chance)
                try:
                    faults = disturb(grid, setting.faults, kinds, setting.pause)
                finally:
                    grid.driver.kill()
            wait_for(server.answers)
            bring_level(wild / "trials" / "tiny", server.uri)
            found = find(wild, calm, grid.rewritten, server.uri)
    seconds = {"undisturbed": round(undisturbed.seconds), "disturbed": round(disturbed.seconds)}
    return {"found": found, "seconds": seconds, "faults": faults, "left_out": sorted({*setting.kinds} - {*kinds})}


def tables(results: Results) -> dict[str, Table]:
    """Faults by kind, and what was found."""
    faults = [
        {"fault": WORDS[kind], "times": len(seconds), "seconds": ", ".join(f"{second:.0f}" for second in seconds)}
        for kind in WORDS
        if (seconds := [one["second"] for one in results["faults"] if one["kind"] == kind])
    ]
    left_out = [{"fault": WORDS[kind], "times": "left out: mounting is not allowed"} for kind in results["left_out"]]
    drawn = f"faults that took place before the grid was done, of {results['setting']['faults']} drawn"
    counts = {drawn: len(results["faults"]), **results["found"]}
    found = [{"name": name, "count": count} for name, count in counts.items()]
    return {
        "chaos-faults": Table.of([*faults, *left_out], "fault: {fault} | times: {times} | after, s: {seconds}"),
        "chaos-found": Table.of(found, "found: {name} | count: {count}"),
    }


main = benchmark("chaos", __doc__, Setting, measure, tables)
