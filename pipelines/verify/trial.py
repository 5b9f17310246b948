"""One record, trained again and compared, with a bar while it takes."""

from __future__ import annotations

from pathlib import Path

import torch

from pipelines.core.console import bar, say
from pipelines.grid.inputs import load_inputs
from pipelines.trials.identity import plugins
from pipelines.trials.record import TrialRecord
from pipelines.verify.compare import Comparison, compare
from pipelines.verify.rerun import Rerun, rerun, rerun_steps
from tune_spaces.tuned import SEED


def verify(record: TrialRecord, data: Path, steps: int | None) -> Comparison:
    """Train a trial again, with as many threads, on a GPU if it was trained on one and there is one.

    Raises:
        StageError: if its data, or a component of another package, are not here.
    """
    spec = record.spec
    of_others = plugins(spec)
    torch.set_num_threads(record.environment.threads)
    device = torch.device("cuda" if record.environment.device != "CPU" and torch.cuda.is_available() else "cpu")
    images = load_inputs(data, spec, search=spec.seed == SEED).trial_data(spec.split)
    title = f"{record.configuration} · {spec.dataset} · seed {spec.seed}"
    with bar(unit="epochs") as progress:
        task = progress.add_task(title, total=spec.epochs)
        found: Rerun = (
            rerun(spec, images, device, lambda done: progress.update(task, completed=done))
            if steps is None
            else rerun_steps(spec, images, device, steps)
        )
    return compare(record, found, of_others)


def tell(comparison: Comparison) -> None:
    """A few lines about a trial."""
    record = comparison.record
    extent = "whole training and test" if comparison.whole else f"first {comparison.steps} steps"
    say(f"{record.identifier}  {record.configuration} · {record.spec.dataset} · seed {record.spec.seed} ({extent})")
    for line in comparison.plugins:
        say(f"  {line}")
    for difference in comparison.surroundings:
        say(f"  {difference.sentence}")
    say(f"  {comparison.outcome}")
    for difference in comparison.differences:
        say(f"  {difference.sentence}")
