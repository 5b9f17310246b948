"""What the report of a large study takes: seconds, memory, and the size of its page.

    python -m benchmarks.report_scale

The trials are made up: as many records as asked for, each with a history of every step, scores and predictions, copied
from a few that differ; their scores differ all. Tables, statistics, figures, page and crate are then made as for any
study, on as many cores as there are. Memory is what its processes hold together, as the system counts what they share.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.harness.script import Results, benchmark, option
from dmf.training.spec import TrialSpec
from pipelines.report.build import build_report
from pipelines.report.results import StudyFacts
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE, read_trial
from tests.support.report_trials import BASE, make_facts, name_of, plan_trials, write_trials

STEPS_PER_EPOCH = 10
WEIGHTINGS, AUXILIARIES = ("variance", "mad", "bayesian"), ("tversky", "focal", "cb_dice", None)
TEMPLATES = 24


@dataclass(frozen=True)
class Setting:
    trials: int = option(10_000, "finished ones")
    steps: int = option(1500, "of each training")
    datasets: int = option(2, "of the study")
    repeats: int = option(5, "seeds of each configuration")
    images: int = option(100, "test images of a data set")


def specs(setting: Setting) -> Iterator[tuple[str, TrialSpec]]:
    """Configurations by name: the paper's, with as many values of γ0 as it takes, and the baseline."""
    count = setting.trials // (setting.datasets * setting.repeats) - 1
    kinds = [*itertools.product(WEIGHTINGS, AUXILIARIES)]
    chosen = [(*kinds[number % len(kinds)], 0.1 * (1 + number // len(kinds))) for number in range(count)]
    for dataset, (weighting, auxiliary, gamma), seed in itertools.product(
        range(setting.datasets), [*chosen, ("fixed", None, 5.0)], range(setting.repeats)
    ):
        spec = dataclasses.replace(
            BASE, dataset=f"data{dataset}", seed=seed, weighting=weighting, auxiliary=auxiliary, gamma0=gamma,
            epochs=setting.steps // STEPS_PER_EPOCH,
        )  # fmt: skip
        yield f"{name_of(spec)} · {gamma:.1f}", spec


def make_trials(setting: Setting, folder: Path) -> list[PlannedTrial]:
    """The records of a finished grid."""
    named = list(specs(setting))
    planned = [
        dataclasses.replace(trial, configuration=name)
        for trial, (name, _) in zip(plan_trials(folder, [spec for _, spec in named]), named, strict=True)
    ]
    first = {dataset: [trial for trial in planned if trial.spec.dataset == dataset] for dataset in datasets(setting)}
    rng = np.random.default_rng(0)
    for dataset, trials in first.items():
        facts = make_facts(dataset, images=setting.images + 10)
        facts = dataclasses.replace(facts, images={"train": 5, "val": 5, "test": setting.images})
        templates = [*trials[: min(TEMPLATES, len(trials) - 1)], trials[-1]]
        write_trials(templates, facts)
        records = [read_trial(trial.folder) for trial in templates]
        for trial in trials:
            if trial.folder.exists():
                continue
            record = records[rng.integers(len(records) - 1)]
            shutil.copytree(record.folder, trial.folder)
            shift = 0.02 * rng.normal()
            told = {name: {key: value + shift for key, value in scores.items()} for name, scores in record.test.items()}
            changed = dict(trial.describe("s", "abc123")) | {"test": told, "seconds": float(rng.uniform(5, 500))}
            (trial.folder / DONE).write_text(record.model_copy(update=changed).to_json())
    return planned


def datasets(setting: Setting) -> list[str]:
    return [f"data{number}" for number in range(setting.datasets)]


def measure(setting: Setting) -> Results:
    with tempfile.TemporaryDirectory(prefix="report_scale") as room:
        planned = make_trials(setting, Path(room) / "trials")
        facts = {name: make_facts(name, images=setting.images + 10) for name in datasets(setting)}
        study = StudyFacts("s", "A large study", [])
        wall, processor = time.perf_counter(), processor_seconds()
        with watched() as memory:
            page = build_report(study, planned, "fixed · none · 5.0", facts, Path(room) / "reports")
        processor, wall = processor_seconds() - processor, time.perf_counter() - wall
        size = page.stat().st_size
    return {
        "report": [
            {
                "trials": len(planned),
                "seconds": round(wall, 1),
                "processor seconds": round(processor, 1),
                "memory, GiB": round(max(memory) / (1 << 30), 2),
                "page, MB": round(size / 1e6, 1),
            }
        ]
    }


def processor_seconds() -> float:
    """Of this process, and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@contextmanager
def watched() -> Iterator[list[int]]:
    """Bytes that this process and its children hold together, twice a second: a page that n of them share is of each
    1/n."""
    samples, done = [held()], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            with suppress(psutil.Error):  # a child has just ended
                samples.append(held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        done.set()
        watcher.join()


def held() -> int:
    """Where the system cannot tell what is shared, nothing is: no stage forks there."""
    here = psutil.Process()
    found = [process.memory_full_info() for process in (here, *here.children())]
    return sum(getattr(one, "pss", one.rss) for one in found)


main = benchmark("report_scale", __doc__, Setting, measure)

if __name__ == "__main__":
    main()
