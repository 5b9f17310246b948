"""Parts of a trial's record, as an attempt on some machine would have written them."""

from __future__ import annotations

from typing import Any

from pipelines.trials.environment import Environment
from pipelines.trials.record import Start

HERE = Environment(
    node="here", python="3.12.1", platform="Linux x86_64", torch="2.15.0", libraries={"numpy": "2.4.0"}, device="CPU",
    instruction_set="AVX2", threads=1, precision="fp32",
)  # fmt: skip


def environment(**changes: Any) -> Environment:
    return HERE.model_copy(update=changes)


def begun(after_epochs: int = 0, started: str = "2026-01-01T00:00:00+00:00", **changes: Any) -> Start:
    """An attempt in the environment `HERE`, with changes."""
    return Start(started=started, process=7, after_epochs=after_epochs, environment=environment(**changes))
