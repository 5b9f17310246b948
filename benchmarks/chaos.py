"""Whether a grid loses anything: workers, driver and MLflow server are killed at random while it runs.

    python -m benchmarks.chaos

Runs a study of 40 small trials undisturbed, then again with 20 SIGKILLs, each to a worker, to the driver or to a real
MLflow server (driver and server are started again), and compares every record. Needs the prepared phantom:
`dvc repro filter`.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.tracking import MlflowClient

from benchmarks.harness.measure import Stopwatch
from benchmarks.harness.script import Results, benchmark, option
from pipelines.trials.mirroring import bring_level
from pipelines.trials.record import read_trial
from tests.support.grids import LONG, finished, mirrored, start, store, tiny, wait_for, workers_of

VICTIMS = ("worker", "driver", "server")
CHANGES = {"seconds", "attempts"}
"""What trial.json may differ in: times, and how often the trial was begun."""


@dataclass(frozen=True)
class Setting:
    data: Path = option(Path("data"), "folder with the prepared phantom")
    seeds: int = option(20, "trials of each of two configurations")
    epochs: int = option(LONG, "of each trial")
    kills: int = option(20, "spread over the grid")
    pause: float = option(3.0, "seconds that a kill waits for, at most, once it is due")


class Server:
    """A real MLflow server on a free port of this machine, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.uri = f"http://127.0.0.1:{self.port}"
        self._start()
        wait_for(self.answers, self._process)

    def _start(self) -> None:
        places = ["--backend-store-uri", store(self.folder), "--artifacts-destination", str(self.folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *places, *address],
            env={**os.environ, **quiet},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self._start()


@dataclass
class Chaos:
    """What happened while the grid was disturbed.

    Attributes:
        kills: For each, seconds since the start, victim, and how many trials were done.
        written: When each trial's record was first seen to have been written.
        rewritten: Trials whose record was written again.
    """

    kills: list[dict[str, Any]] = field(default_factory=list)
    written: dict[str, int] = field(default_factory=dict)
    rewritten: set[str] = field(default_factory=set)

    def look(self, folder: Path) -> None:
        for identifier, at in finished(folder).items():
            if self.written.setdefault(identifier, at) != at:
                self.rewritten.add(identifier)


@contextmanager
def server_at(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.kill()


def disturb(
    folder: Path, data: Path, server: Server, trials: int, kills: int, pause: tuple[float, float], seed: int
) -> Chaos:
    """Run the study "tiny" of a folder while killing; returns once every trial is done.

    Kills are spread over the grid: the k-th of n comes a random pause after k / (n + 1) of the trials are done, so that
    some are always in training, however fast the machine is.
    """
    chance = random.Random(seed)
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    chance.shuffle(victims)
    chaos, begun = Chaos(), time.monotonic()
    driver = start(data, folder, server.uri)
    for number, victim in enumerate(victims):
        due = trials * number // (kills + 1)
        wait_for(lambda: workers_of(driver) and len(finished(folder)) >= due, driver)  # noqa: B023
        time.sleep(chance.uniform(*pause))
        chaos.look(folder)
        done = len(chaos.written)
        if victim == "worker":
            wait_for(lambda: [worker.kill() for worker in workers_of(driver)[:1]], driver)  # noqa: B023
        elif victim == "driver":
            driver.kill()
            driver.wait()
            driver = start(data, folder, server.uri)
        else:
            server.restart()
        chaos.kills.append({"second": round(time.monotonic() - begun, 1), "victim": victim, "done": done})
        print(f"{chaos.kills[-1]['second']:8.1f} s  SIGKILL to the {victim:7} {done} trials done", flush=True)
    if driver.wait() != 0:
        raise RuntimeError("The grid ended with failed trials.")
    chaos.look(folder)
    wait_for(server.answers)
    bring_level(folder / "trials" / "tiny", server.uri)
    return chaos


def differences(calm: Path, other: Path) -> list[str]:
    """Files of a trial that are not the same in two folders, bit for bit but for times."""
    differing = []
    for name in ("history", "epochs", "images"):
        frames = [pd.read_parquet(folder / f"{name}.parquet") for folder in (calm, other)]
        frames = [frame.drop(columns="seconds", errors="ignore") for frame in frames]
        if not frames[0].equals(frames[1]):
            differing.append(f"{name}.parquet")
    arrays = [dict(np.load(folder / "predictions.npz")) for folder in (calm, other)]
    if not all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0] | arrays[1]):
        differing.append("predictions.npz")
    weights = [torch.load(folder / "model.pt") for folder in (calm, other)]
    if not all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0] | weights[1]):
        differing.append("model.pt")
    if len({read_trial(folder).model_dump_json(exclude=CHANGES) for folder in (calm, other)}) > 1:
        differing.append("trial.json")
    return differing


def find(folder: Path, calm: Path, chaos: Chaos, uri: str) -> dict[str, Any]:
    """What a disturbed run has lost, doubled or changed. All but the first two figures should be 0."""
    expected, found = set(finished(calm)), set(finished(folder))
    attempts = [read_trial(folder / "trials" / "tiny" / name).attempts for name in found]
    changed = {
        name: lost
        for name in expected & found
        if (lost := differences(calm / "trials" / "tiny" / name, folder / "trials" / "tiny" / name))
    }
    runs, once = mirrored(uri), Counter({(name, "FINISHED"): 1 for name in expected})
    client = MlflowClient(uri)
    wrong_points = 0
    for run in client.search_runs([client.get_experiment_by_name("tiny").experiment_id]):
        history = pd.read_parquet(folder / "trials" / "tiny" / run.data.tags["identifier"] / "history.parquet")
        points = sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, "total"))
        wrong_points += points != list(zip(history["step"].tolist(), history["total"].tolist(), strict=True))
    return {
        "trials": len(found),
        "resumed from an epoch": sum(any(one.after_epochs for one in each) for each in attempts),
        "lost": len(expected - found),
        "of unknown origin": len(found - expected),
        "written twice": len(chaos.rewritten),
        "records that differ": len(changed),
        "left behind unfinished": len(list((folder / "trials").glob(".unfinished/tiny/*/progress.json"))),
        "in MLflow not exactly once": len((runs - once) | (once - runs)),
        "MLflow histories that differ": wrong_points,
    }


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
        with server_at(wild) as server:
            with Stopwatch() as disturbed:
                chaos = disturb(wild, data, server, 2 * setting.seeds, setting.kills, pause=(0, setting.pause), seed=0)
            found = find(wild, calm, chaos, server.uri)
    seconds = {"undisturbed": round(undisturbed.seconds), "disturbed": round(disturbed.seconds)}
    return {"found": found, "seconds": seconds, "kills": chaos.kills}


main = benchmark("chaos", __doc__, Setting, measure)

if __name__ == "__main__":
    main()
