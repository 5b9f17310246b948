"""A trial's record, and parts of one, as an attempt on some machine would have written them."""

from __future__ import annotations

from typing import Any

from pipelines.trials.digests import Digests
from pipelines.trials.environment import Environment
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import Start, TrialRecord

HERE = Environment(
    node="here", python="3.12.1", platform="Linux x86_64", torch="2.15.0", libraries={"numpy": "2.4.0"}, device="CPU",
    instruction_set="AVX2", threads=1, precision="fp32",
)  # fmt: skip


NO_DIGESTS = Digests(**dict.fromkeys(Digests.model_fields, "0" * 32))
"""Of a trial that nobody trained."""


def environment(**changes: Any) -> Environment:
    return HERE.model_copy(update=changes)


def begun(after_epochs: int = 0, started: str = "2026-01-01T00:00:00+00:00", **changes: Any) -> Start:
    """An attempt in the environment `HERE`, with changes."""
    return Start(started=started, process=7, after_epochs=after_epochs, environment=environment(**changes))


def record_of_planned(planned: PlannedTrial, **outcome: Any) -> TrialRecord:
    """The record of a trial that nobody trained; what is not given is as plain as can be."""
    plain: dict[str, Any] = {
        "attempts": (begun(),),
        "seconds": 12.5,
        "epochs": planned.spec.epochs,
        "best_epoch": planned.spec.epochs - 1,
        "steps_per_epoch": 10,
        "test": {},
        "validation": {},
        "confusion": (),
        "diagnostics": (),
        "digests": NO_DIGESTS,
    }
    described = dict(planned.describe(planned.folder.parent.name, "abc123"))
    return TrialRecord(**described, folder=planned.folder, **plain | outcome)
