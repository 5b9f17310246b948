"""What a claim looks at in a trial: a score, or something about its course that one number says.

Measures of the course read `history` (`HistoryColumns`) and `epoch_table` (`EpochColumns`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from dmf.training.spec import TrialSpec
from pipelines.trials.columns import EpochColumns
from pipelines.trials.columns import HistoryColumns as Step
from pipelines.trials.tuning import Tuning

Scores = Mapping[str, Mapping[str, float]]
Value = Callable[["Record"], float]

LATE = 0.2
"""The share of training that counts as its end."""
LEVEL_LOSS = 0.01
"""A loss has levelled out when it changes by less than this share of itself."""
SETTLED = 0.9
"""A weight above this has taken over."""


class Record(Protocol):
    """What a claim needs of a finished trial."""

    @property
    def spec(self) -> TrialSpec: ...
    @property
    def configuration(self) -> str: ...
    @property
    def test(self) -> Scores: ...
    @property
    def validation(self) -> Scores: ...
    @property
    def history(self) -> pd.DataFrame: ...
    @property
    def epoch_table(self) -> pd.DataFrame: ...
    @property
    def images(self) -> pd.DataFrame: ...
    @property
    def tuning(self) -> Tuning | None: ...


def score(protocol: str, metric: str, *, validation: bool = False) -> Value:
    """A score in percent (distances in pixels), on the test images or those that select."""
    scale = scale_of(metric)

    def value(record: Record) -> float:
        scores = record.validation if validation else record.test
        return scores.get(protocol, {}).get(metric, math.nan) * scale

    return value


def is_distance(metric: str) -> bool:
    """Whether a score is a distance in pixels, and the lower the better."""
    return metric.startswith(("hd", "hausdorff"))


def scale_of(metric: str) -> float:
    """What a score is printed times."""
    return 1.0 if is_distance(metric) else 100.0


def auxiliary_share(record: Record) -> float:
    """gamma L_a / L, mean over the last epoch; 0 without an auxiliary loss."""
    history = record.history
    last = history[history[Step.epoch] == history[Step.epoch].max()]
    return float((last[Step.gamma] * last[Step.auxiliary] / last[Step.total]).mean())


def weight_change(record: Record) -> float:
    """Mean absolute change of a weight from step to step, over steps and base losses."""
    return float(np.abs(np.diff(_by_step(record, Step.weight), axis=0)).mean())


def settled(record: Record) -> float:
    """1 if over the whole last half one weight, always the same, is above 0.9; else 0."""
    weights = _by_step(record, Step.weight)
    late = weights[len(weights) // 2 :]
    return float(bool((late.max(1) > SETTLED).all() and len(set(late.argmax(1).tolist())) == 1))


def fluctuation(record: Record) -> float:
    """Rises from epoch to epoch over the net fall, of the worst base loss; infinite where one does not fall."""
    return max(_rises(course, rises_only=True) for course in _by_epoch(record).T)


def roughness(record: Record) -> float:
    """Sum of absolute changes of the training loss from epoch to epoch over its net fall: 1 for a steady fall."""
    return _rises(record.epoch_table[EpochColumns.train_total].to_numpy(), rises_only=False)


def moves_after_levelling(record: Record) -> float:
    """1 if in the last fifth no base loss changes by 1 % or more, yet some weight has a deviation above 0.01; else 0.

    The change of a loss is that from the first to the second half of the fifth, over steps.
    """
    losses, weights = (_late(_by_step(record, column)) for column in (Step.loss, Step.weight))
    first, second = (half.mean(0) for half in (losses[: len(losses) // 2], losses[len(losses) // 2 :]))
    level = bool((np.abs(second - first) < LEVEL_LOSS * np.abs(first)).all())
    return float(level and bool((weights.std(0, ddof=1) > 0.01).any()))


def step_seconds(record: Record) -> float:
    """Seconds a training step takes: the median epoch over its steps."""
    steps = record.history.groupby(Step.epoch).size().median()
    return float(record.epoch_table[EpochColumns.seconds].median() / steps)


MEASURES: dict[str, Callable[[Record], float]] = {
    measure.__name__: measure
    for measure in (
        auxiliary_share,
        weight_change,
        settled,
        fluctuation,
        roughness,
        moves_after_levelling,
        step_seconds,
    )
}


def _by_step(record: Record, column: Callable[[str], str]) -> np.ndarray:
    history = record.history
    return history[[column(name) for name in Step.loss_names(history.columns)]].to_numpy(dtype=float)


def _by_epoch(record: Record) -> np.ndarray:
    history = record.history
    columns = [Step.loss(name) for name in Step.loss_names(history.columns)]
    return history.groupby(Step.epoch)[columns].mean().to_numpy(dtype=float)


def _rises(course: Sequence[float] | np.ndarray, *, rises_only: bool) -> float:
    changes = np.diff(np.asarray(course, dtype=float))
    fall = -float(changes.sum())
    counted = changes.clip(min=0) if rises_only else np.abs(changes)
    return float(counted.sum()) / fall if fall > 0 else math.inf


def _late(table: np.ndarray) -> np.ndarray:
    return table[-max(4, round(LATE * len(table))) :]
