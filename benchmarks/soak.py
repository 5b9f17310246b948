"""Whether a long grid stays as it was: memory, open files and object store while trials come and go.

    python -m benchmarks.soak --minutes 60

One grid of small trials, more than the time suffices for, with a real MLflow server; Ctrl-C ends it. Every few seconds
it is noted what the driver, all workers, sync and the server with its processes hold, and Ray's object store. A slope
is that of a straight line, by least squares, through what was noted after the warm-up. Needs the
prepared phantom: `dvc repro filter`.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from matplotlib.figure import Figure

from benchmarks.chaos.servers import Server, server_at
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table
from pipelines.pages.drawing import INK, new_grid, save, styled
from tests.support.grids import LONG, finished, start, syncs_of, tiny, workers_of

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "soak.png"
COLOURS = {"driver": "#0969da", "workers": "#bc4c00", "sync": "#1a7f37", "server": "#8250df", "object store": INK}
MIB = 2**20
KEPT = 240
"""Samples in the results, at most."""


@dataclass(frozen=True)
class Setting:
    data: Path = option(Path("data"), "folder with the prepared phantom")
    minutes: float = option(60.0, "from the first epoch on")
    epochs: int = option(LONG, "of each trial")
    every: float = option(5.0, "seconds between two samples")
    warm_up: float = option(0.2, "part of the time before slopes are taken")
    figure: Path = option(FIGURE, "picture to write")


def held(processes: Iterable[psutil.Process]) -> dict[str, float]:
    """Resident memory and open files, together."""
    found = [(process.memory_info().rss, process.num_fds()) for process in processes]
    return {"MiB": sum(memory for memory, _ in found) / MIB, "files": sum(files for _, files in found)}


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def object_store(driver: psutil.Process) -> float:
    """MiB of Ray's shared memory that have ever been touched, as its raylet maps them."""
    raylets = [child for child in driver.children() if child.name() == "raylet"]
    maps = (part for raylet in raylets for part in raylet.memory_maps())
    return sum(part.rss for part in maps if part.path.startswith("/dev/shm/")) / MIB


def sample(driver: subprocess.Popen[bytes], server: Server) -> dict[str, Any] | None:
    """What all hold; None while one of them is not there, as at the start, between two workers and at the end.

    A process that has ended and was not waited for holds nothing.
    """
    groups: dict[str, Callable[[], Sequence[psutil.Process]]] = {
        "driver": lambda: [psutil.Process(driver.pid)],
        "workers": lambda: workers_of(driver),
        "sync": lambda: syncs_of(driver.pid),
        "server": lambda: family(psutil.Process(server.pid)),
    }
    with suppress(psutil.Error):
        found = {name: held(processes()) for name, processes in groups.items()}
        found["object store"] = {"MiB": object_store(psutil.Process(driver.pid))}
        if all(one["MiB"] > 0 for one in found.values()):
            return found
    return None


def watch(folder: Path, driver: subprocess.Popen[bytes], server: Server, setting: Setting) -> list[dict[str, Any]]:
    """Samples from the first trial's end until the time is up."""
    samples: list[dict[str, Any]] = []
    begun = 0.0
    while driver.poll() is None and (not begun or time.monotonic() - begun < 60 * setting.minutes):
        done = len(finished(folder))
        if done and (found := sample(driver, server)):
            begun = begun or time.monotonic()
            samples.append({"minute": (time.monotonic() - begun) / 60, "done": done, **found})
        time.sleep(setting.every)
    if not samples:
        raise RuntimeError("The grid ended before it could be watched; see its messages above.")
    return samples


def slopes(samples: Sequence[dict[str, Any]], warm_up: float) -> list[dict[str, Any]]:
    """Of each process: what it held after the warm-up and at the end, and by how much more an hour."""
    settled = [one for one in samples if one["minute"] >= warm_up * samples[-1]["minute"]]
    hours = np.array([one["minute"] for one in settled]) / 60
    rows = []
    for name in COLOURS:
        row: dict[str, Any] = {"process": name}
        for unit in settled[0][name]:
            values = np.array([one[name][unit] for one in settled])
            slope = float(np.polyfit(hours, values, 1)[0]) if len(settled) > 1 else 0.0
            row |= {f"{unit}_first": values[0], f"{unit}_last": values[-1], f"{unit}_an_hour": slope}
        rows.append({key: value if key == "process" else round(float(value), 2) for key, value in row.items()})
    return rows


@styled
def draw(samples: Sequence[dict[str, Any]], warm_up: float) -> Figure:
    """Memory and open files over time; the warm-up is shaded."""
    figure, (panels,) = new_grid(1, 2, width=4.6, height=3.2)
    minutes = [one["minute"] for one in samples]
    for axes, unit, title in zip(panels, ("MiB", "files"), ("Memory, MiB", "Open files"), strict=True):
        for name, colour in COLOURS.items():
            if unit in samples[0][name]:
                axes.plot(minutes, [one[name][unit] for one in samples], color=colour, label=name)
        axes.axvspan(0, warm_up * minutes[-1], color="#f6f8fa", zorder=0)
        axes.set_title(title)
        axes.set_xlabel("minutes")
        axes.set_ylim(bottom=0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(COLOURS), fontsize=8)
    return figure


def write_figure(path: Path, samples: Sequence[dict[str, Any]], warm_up: float) -> None:
    words = {"heading": "Soak", "caption": "", "alternative": "Memory and open files of a grid over time."}
    with tempfile.TemporaryDirectory() as scratch:
        save(draw(samples, warm_up), Path(scratch), path.stem, **words)
        path.write_bytes((Path(scratch) / f"{path.stem}.png").read_bytes())


def measure(setting: Setting) -> Results:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tiny(folder, seeds=2 + round(60 * setting.minutes), trial={"epochs": setting.epochs})
        with server_at(folder) as server:
            driver = start(setting.data.resolve(), folder, server.uri)
            try:
                samples = watch(folder, driver, server, setting)
                driver.send_signal(signal.SIGINT)
                driver.wait()
            finally:
                driver.kill()
    write_figure(setting.figure, samples, setting.warm_up)
    kept = samples[:: -(-len(samples) // KEPT)]
    return {"slopes": slopes(samples, setting.warm_up), "trials": samples[-1]["done"], "samples": kept}


def tables(results: Results) -> dict[str, Table]:
    columns = (
        "process: {process} | MiB, after the warm-up: {MiB_first:.0f} | at the end: {MiB_last:.0f} | "
        "an hour: {MiB_an_hour:+.1f} | open files: {files_first:.0f} | at the end: {files_last:.0f} | "
        "an hour: {files_an_hour:+.1f}"
    )
    return {"soak": Table.of(results["slopes"], columns)}


main = benchmark("soak", __doc__, Setting, measure, tables)

if __name__ == "__main__":
    main()
