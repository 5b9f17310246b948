"""Work in parts: every part once, answers in order, faults raised, whatever the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from dmf.kernels import spread, threads


@pytest.fixture(params=[1, 2, 3])
def number(request: pytest.FixtureRequest, set_threads: Callable[[int], None]) -> int:
    set_threads(request.param)
    return request.param


@pytest.fixture(params=["torch's own", "a pool"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "a pool":
        monkeypatch.setattr(threads, "_team", lambda: None)


@pytest.mark.usefixtures("kind")
def test_every_part_once_and_answers_in_order(number: int) -> None:
    taken: list[int] = []

    def square(part: int) -> int:
        taken.append(part)
        return part * part

    assert spread(square, range(20)) == [part * part for part in range(20)]
    assert sorted(taken) == list(range(20))


@pytest.mark.usefixtures("kind")
def test_parts_are_taken_side_by_side(set_threads: Callable[[int], None]) -> None:
    """Each waits for the other, so that one after the other would never end."""
    set_threads(2)
    both = threading.Barrier(2, timeout=60)
    assert sorted(spread(lambda _: both.wait(), range(2))) == [0, 1]


@pytest.mark.usefixtures("kind")
def test_a_fault_of_a_part_is_raised(number: int) -> None:
    with pytest.raises(ZeroDivisionError):
        spread(lambda part: 1 / (part - 3), range(7))
