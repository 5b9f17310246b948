"""Time, measured side by side: rivals take turns, and the device is waited for.

Whatever else the machine does only slows a turn, so a time is that of the best one. A ratio is the median over turns of
two rivals' ratio in the same turn, where both met the same machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""The GPU where there is one. CUDA_VISIBLE_DEVICES= hides it."""

Action = Callable[[], object]
Clock = Callable[[], float]
Name = TypeVar("Name", bound=Hashable)


def wait_for_device() -> None:
    """Until a GPU has done what it was asked for; without one there is nothing to wait for."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Stopwatch:
    """Seconds of a block, the device's part included.

    with Stopwatch() as watch:
        ...
    watch.seconds
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock

    def __enter__(self) -> Stopwatch:
        wait_for_device()
        self._begun = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        wait_for_device()
        self.seconds = self._clock() - self._begun


def seconds(action: Action, calls: int = 1, clock: Clock = time.perf_counter) -> float:
    """Of one call, averaged over so many."""
    with Stopwatch(clock) as watch:
        for _ in range(calls):
            action()
    return watch.seconds / calls


@dataclass(frozen=True)
class Timing:
    """Seconds of each turn."""

    turns: tuple[float, ...]

    @property
    def best(self) -> float:
        """Of the quickest turn."""
        return min(self.turns)

    @property
    def median(self) -> float:
        """Of all turns."""
        return statistics.median(self.turns)

    def times(self, other: Timing) -> float:
        """How many times as long as another in the same turn: the median over turns."""
        return statistics.median(mine / its for mine, its in zip(self.turns, other.turns, strict=True))


def take_turns(
    rivals: Mapping[Name, Action], turns: int, *, calls: int = 1, warm_up: int = 1, clock: Clock = time.perf_counter
) -> dict[Name, Timing]:
    """Seconds a call of each rival.

    Args:
        rivals: What to measure, by name.
        turns: In each, every rival is measured once.
        calls: Of a rival in its turn; their mean is its time.
        warm_up: Turns before those, which do not count.
        clock: Gives seconds: wall time, or that of a processor.
    """
    found: dict[Name, list[float]] = {name: [] for name in rivals}
    for _ in range(warm_up + turns):
        for name, action in rivals.items():
            found[name].append(seconds(action, calls, clock))
    return {name: Timing(tuple(taken[warm_up:])) for name, taken in found.items()}
