"""Trials per hour on one device: one at a time, packed on streams, with stacked weights, and in several processes.

    python -m benchmarks.packing          # the DMF paper's size on a GPU, a smaller one without

Trials are the DMF paper's: 13 configurations, paired by seed, of its U-Net on images of its size (drawn, as their
content takes no time). An epoch is all that the grid does for a trial but writing it down: training, validation,
recording, diagnostics, choice of the best weights. The first epochs, in which libraries warm up and CUDA graphs are
captured, are not counted. With the rates goes the time that the paper's 390 trainings of 100 epochs would take. It is
extrapolated from epochs of this data set's size by the number of images in the paper's three. Needs torch, numpy and
jaxtyping only.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any, Protocol

import torch

from benchmarks.harness.measure import DEVICE, seconds
from benchmarks.harness.script import Results, benchmark, option
from benchmarks.harness.tables import Table, load
from benchmarks.harness.trials import DATASETS, EPOCHS, TRAININGS, Size, quiet, specs
from benchmarks.stacked import StackedTrials
from dmf.training.data import TrialData
from dmf.training.packed import PackedTrials
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial

ON_GPU = DEVICE.type == "cuda"
WARM_UP = 2


@dataclass(frozen=True)
class Setting(Size):
    at_a_time: tuple[int, ...] = option((1, 2, 4, 8, 13, 26) if ON_GPU else (1, 2, 4), "sizes of pack")
    epochs: int = option(4, "of each trial, after the first ones")
    threads: int = option(1, "of torch in each process")


class Training(Protocol):
    """What trains an epoch of one or several trials."""

    def epoch(self) -> object: ...


def plain(spec: TrialSpec, data: TrialData) -> Trial:
    """A trial that asks for each kernel, on a GPU too."""
    trial = Trial(spec, data, device=DEVICE)
    trial.replayed = None
    return trial


def timed(training: Training, epochs: int, ready: Callable[[], object] = lambda: None) -> float:
    """Seconds of the quickest epoch."""
    for _ in range(WARM_UP):
        training.epoch()
    ready()
    return min(seconds(training.epoch) for _ in range(epochs))


def process(number: int, setting: Setting, barrier: Barrier, answers: Any) -> None:
    """One of several processes, each with a trial of its own."""
    torch.set_num_threads(setting.threads)
    trial = Trial(specs(number + 1, setting)[number], setting.data(), device=DEVICE)
    answers.put(timed(trial, setting.epochs, ready=lambda: barrier.wait(600)))


def processes(number: int, setting: Setting) -> float:
    """Seconds in which each of `number` processes trains an epoch."""
    context = multiprocessing.get_context("spawn")
    answers, barrier = context.Queue(), context.Barrier(number)
    workers = [context.Process(target=process, args=(n, setting, barrier, answers)) for n in range(number)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=1200) for _ in workers]
    for worker in workers:
        worker.join()
    return statistics.mean(found)


def rivals(size: int, data: TrialData, setting: Setting) -> dict[str, Callable[[], float]]:
    """What trains `size` trials at a time: name -> seconds in which each trains an epoch."""
    wanted, epochs = specs(size, setting), setting.epochs
    if size > 1:
        return {
            "packed": lambda: timed(PackedTrials(wanted, data, device=DEVICE), epochs),
            "stacked": lambda: timed(StackedTrials(wanted, data, device=DEVICE), epochs),
            "processes": lambda: processes(size, setting),
        }
    alone = {"one at a time": lambda: timed(Trial(wanted[0], data, device=DEVICE), epochs)}
    return alone | ({"one at a time, no graph": lambda: timed(plain(wanted[0], data), epochs)} if ON_GPU else {})


def row(name: str, size: int, run: Callable[[], float], images: int) -> dict[str, Any]:
    """Time, rate and peak of memory of one rival; the cause if it could not run."""
    if ON_GPU:
        torch.cuda.reset_peak_memory_stats()
    try:
        a_trial = run() / size
    except (RuntimeError, OSError) as error:
        traceback.print_exc()
        return {"trials": name, "at_a_time": size, "failed": f"{type(error).__name__}: {error}"}
    finally:
        gc.collect()
    memory = torch.cuda.max_memory_allocated() / 2**30 if ON_GPU and name != "processes" else None
    return {
        "trials": name,
        "at_a_time": size,
        "milliseconds_an_epoch_of_one": 1000 * a_trial,
        "trainings_of_100_epochs_an_hour": 36 / a_trial,
        "hours_of_the_papers_grid_extrapolated": a_trial
        * (statistics.mean(DATASETS) / images)
        * (TRAININGS * EPOCHS / 3600),
        "memory_gib": memory,
    }


@quiet()
def measure(setting: Setting) -> Results:
    torch.set_num_threads(setting.threads)
    data = setting.data()
    ways = [(name, size, run) for size in setting.at_a_time for name, run in rivals(size, data, setting).items()]
    return {"rows": [row(*way, setting.images) for way in ways]}


def tables(results: Results) -> dict[str, Table]:
    columns = (
        "trials: {trials} | at a time: {at_a_time} | ms an epoch of one: {milliseconds_an_epoch_of_one:.1f}"
        " | trainings of 100 epochs an hour: {trainings_of_100_epochs_an_hour:.0f}"
        " | the paper's grid, hours*: {hours_of_the_papers_grid_extrapolated:.2f}"
    )
    rows = [
        {**row, "trials": f"{row['trials']}, failed: {row['failed'].splitlines()[0]}"} if "failed" in row else row
        for row in results["rows"]
    ]
    size = results["setting"]
    note = f"\\* extrapolated, at {size['image_size']} pixels and {size['base_filters']} filters, from its epochs"
    return {f"packing-{size['device']}": Table.of(rows, columns).noted(note, load(results))}


main = benchmark("packing", __doc__, Setting, measure, tables, file="packing_{device}")

if __name__ == "__main__":
    main()
