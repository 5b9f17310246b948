"""Trials per hour on one device: one at a time, packed on streams, with stacked weights, and in several processes.

    python -m benchmarks.packing --device cuda          # the DMF paper's size; needs torch, numpy and jaxtyping only
    python -m benchmarks.packing --device cpu           # a smaller one

Trials are the DMF paper's: 13 configurations, paired by seed, of its U-Net on images of its size (drawn by this
script, as their content takes no time). An epoch is all that the grid does for a trial but writing it down: training,
validation, recording, diagnostics, choice of the best weights. The first epochs, in which libraries warm up and CUDA
graphs are captured, are not counted. Prints a table and writes benchmarks/results/packing_<device>.json, with the time
that the paper's 390 trainings of 100 epochs would take. That time is extrapolated from epochs of this data set's size
by the number of images in the paper's three.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import multiprocessing
import statistics
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks.device import describe_machine
from benchmarks.stacked import StackedTrials
from dmf.training.data import TrialData
from dmf.training.packed import PackedTrials
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial

RESULTS = Path(__file__).parent / "results"
AUXILIARIES = ("tversky", "focal", "cb_dice", None)
CONFIGURATIONS: list[dict[str, Any]] = [
    *({"weighting": w, "auxiliary": a} for w in ("variance", "mad", "bayesian") for a in AUXILIARIES),
    {"weighting": "fixed", "auxiliary": None},
]
PAPER = {"trainings": 390, "epochs": 100, "images": (647, 250, 500)}
"""13 configurations x 3 data sets x 10 repeats; images of BUSI without its normal cases, BUSC and BUS-Synthetic."""
WARM_UP = 2
DEFAULTS: dict[str, dict[str, Any]] = {
    "cuda": {"images": 647, "image_size": 128, "base_filters": 32, "batch_size": 32, "epochs": 5},
    "cpu": {"images": 240, "image_size": 64, "base_filters": 16, "batch_size": 8, "epochs": 4},
}
SIZES = {"cuda": [1, 2, 4, 8, 13, 26], "cpu": [1, 2, 4]}

Setting = dict[str, Any]


class Training(Protocol):
    """What trains an epoch of one or several trials."""

    def epoch(self) -> object: ...


def draw(images: int, side: int) -> TrialData:
    """Grey noise with a bright rectangle each; split 70/15/15."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.zeros(images, side, side, dtype=torch.uint8)
    for target in targets:
        top, left = torch.randint(0, side // 2, (2,), generator=generator).tolist()
        target[top : top + side // 3, left : left + side // 3] = 1
    noise = torch.randint(0, 120, (images, 1, side, side), generator=generator)
    bounds = [0, int(0.7 * images), int(0.85 * images), images]
    rows = {name: torch.arange(bounds[i], bounds[i + 1]) for i, name in enumerate(("train", "val", "test"))}
    return TrialData((noise + 100 * targets[:, None]).to(torch.uint8), targets, rows, ("background", "lesion"))


def specs(number: int, setting: Setting) -> list[TrialSpec]:
    """The first trials of the paper's grid, by seed, then configuration."""
    shared = {name: setting[name] for name in ("image_size", "batch_size", "precision")}
    return [
        TrialSpec(
            dataset="drawn",
            seed=index // len(CONFIGURATIONS),
            model_params={"base_filters": setting["base_filters"]},
            **CONFIGURATIONS[index % len(CONFIGURATIONS)],
            **shared,
        )
        for index in range(number)
    ]


def plain(spec: TrialSpec, data: TrialData, device: str) -> Trial:
    """A trial that asks for each kernel, on a GPU too."""
    trial = Trial(spec, data, device=device)
    trial.take_step = trial.step
    return trial


def timed(training: Training, setting: Setting, ready: Callable[[], object] = lambda: None) -> float:
    """Seconds an epoch, the least: whatever else the machine does only adds to it."""
    for _ in range(WARM_UP):
        training.epoch()
    ready()
    seconds = []
    for _ in range(setting["epochs"]):
        started = time.perf_counter()
        training.epoch()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def process(number: int, setting: Setting, barrier: Barrier, answers: Any) -> None:
    """One of several processes, each with a trial of its own."""
    torch.set_num_threads(setting["threads"])
    data = draw(setting["images"], setting["image_size"])
    trial = Trial(specs(number + 1, setting)[number], data, device=setting["device"])
    answers.put(timed(trial, setting, ready=lambda: barrier.wait(600)))


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
    device, wanted = setting["device"], specs(size, setting)
    found: dict[str, Callable[[], float]] = {
        "packed": lambda: timed(PackedTrials(wanted, data, device=device), setting),
        "stacked": lambda: timed(StackedTrials(wanted, data, device=device), setting),
        "processes": lambda: processes(size, setting),
    }
    if size > 1:
        return found
    alone = {"one at a time": lambda: timed(Trial(wanted[0], data, device=device), setting)}
    if setting["device"] == "cuda":
        alone["one at a time, no graph"] = lambda: timed(plain(wanted[0], data, device), setting)
    return alone


def row(name: str, size: int, run: Callable[[], float], setting: Setting) -> dict[str, Any]:
    """Time, rate and peak of memory of one rival; the cause if it could not run."""
    on_gpu = setting["device"] == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    try:
        seconds = run()
    except (RuntimeError, OSError) as error:
        traceback.print_exc()
        return {"trials": name, "at_a_time": size, "failed": f"{type(error).__name__}: {error}"}
    finally:
        gc.collect()
    a_trial = seconds / size
    images = sum(PAPER["images"]) / len(PAPER["images"]) / setting["images"]  # type: ignore[arg-type]
    grid = a_trial * images * PAPER["trainings"] * PAPER["epochs"]  # type: ignore[operator]
    memory = torch.cuda.max_memory_allocated() / 2**30 if on_gpu and name != "processes" else None
    return {
        "trials": name,
        "at_a_time": size,
        "milliseconds_an_epoch_of_one": 1000 * a_trial,
        "trainings_of_100_epochs_an_hour": 36 / a_trial,
        "hours_of_the_papers_grid_extrapolated": grid / 3600,
        "memory_gib": memory,
    }


COLUMNS = {
    "milliseconds_an_epoch_of_one": ("ms/epoch of one", "15.1f"),
    "trainings_of_100_epochs_an_hour": ("trainings/h", "15.0f"),
    "hours_of_the_papers_grid_extrapolated": ("paper's grid, h*", "15.2f"),
    "memory_gib": ("GiB", "15.1f"),
}


def show(found: Sequence[dict[str, Any]]) -> None:
    print("  ".join([f"{'trials':>24}", "at a time", *(f"{title:>15}" for title, _ in COLUMNS.values())]))
    for entry in found:
        known = [f"{entry[key]:{form}}" for key, (_, form) in COLUMNS.items() if entry.get(key) is not None]
        rest = [f"failed: {entry['failed'].splitlines()[0]}"] if "failed" in entry else known
        print("  ".join([f"{entry['trials']:>24}", f"{entry['at_a_time']:>9}", *rest]))
    print("* extrapolated: 390 trainings of 100 epochs at this size of image, by the number of images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=DEFAULTS, default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--at-a-time", type=int, nargs="+", help="sizes of pack (default: by device)")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--threads", type=int, default=1, help="of torch in each process (default: 1)")
    for name in DEFAULTS["cpu"]:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="default: by device")
    given = vars(parser.parse_args())
    sizes = given.pop("at_a_time") or SIZES[given["device"]]
    setting = {**given, **{k: v for k, v in DEFAULTS[given["device"]].items() if given[k] is None}}
    torch.set_num_threads(setting["threads"])
    logging.disable(logging.WARNING)  # what diagnostics find in drawn images is of no interest
    data = draw(setting["images"], setting["image_size"])
    found = []
    for size in sizes:
        for name, run in rivals(size, data, setting).items():
            found.append(row(name, size, run, setting))
            print(f"{name} x {size}: done", flush=True)
    show(found)
    answer = {"machine": describe_machine(setting["device"]), "setting": setting, "rows": found}
    (RESULTS / f"packing_{setting['device']}.json").write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
