"""The ring of remembered losses and the statistics over it."""

from __future__ import annotations

import copy
import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dmf.weightings import build_weighting
from dmf.weightings.memory import RingBuffer
from dmf.weightings.statistics import median_absolute_deviation, normalise, shares, symmetric_log, variance

NAN = float("nan")


def test_the_ring_keeps_the_last_values() -> None:
    memory = RingBuffer(1, 3)
    for value in (1.0, 2.0, 3.0, 4.0):
        history = memory.append(torch.tensor([value]))
    assert sorted(history[0].tolist()) == [2.0, 3.0, 4.0]
    assert memory.step == 4


def test_threads_that_evaluate_leave_one_memory_alone() -> None:
    weighting = build_weighting("variance", 2, history_size=2)
    for values in ([1.0, 2.0], [2.0, 1.0], [1.5, 1.0]):
        weighting(torch.tensor(values))
    weighting.eval()
    before = copy.deepcopy(weighting.state_dict())
    seen = torch.tensor([1.0, 3.0])
    expected = weighting(seen)
    switches = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: weighting(seen), range(400)))
    finally:
        sys.setswitchinterval(switches)
    assert all(weights.equal(expected) for weights in found)
    torch.testing.assert_close(dict(weighting.state_dict()), dict(before), rtol=0, atol=0, equal_nan=True)


def test_the_current_value_is_in_the_answer_and_carries_gradient_while_the_memory_does_not() -> None:
    memory = RingBuffer(2, 3)
    memory.append(torch.tensor([1.0, 1.0]))
    losses = torch.tensor([2.0, 5.0], requires_grad=True)
    memory.append(losses).nansum().backward()
    assert losses.grad is not None
    assert losses.grad.tolist() == [1.0, 1.0]
    assert not memory.values.requires_grad


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_not_remembered(value: float) -> None:
    memory = RingBuffer(2, 3)
    memory.append(torch.tensor([1.0, 2.0]))
    history = normalise(memory.append(torch.tensor([value, 3.0])))
    assert history.number.tolist() == [[1], [2]]
    memory.append(torch.tensor([5.0, 4.0]))
    assert memory.values[0].nansum() == 6.0


def test_state_has_one_size_for_ever() -> None:
    memory = RingBuffer(2, 5)
    before = {name: value.shape for name, value in memory.state_dict().items()}
    for _ in range(20):
        memory.append(torch.rand(2))
    assert {name: value.shape for name, value in memory.state_dict().items()} == before


def test_symmetric_log_by_hand() -> None:
    values = symmetric_log(torch.tensor([0.0, math.e - 1, 1 - math.e], dtype=torch.float64))
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64))


def test_normalised_history_by_hand() -> None:
    memory = torch.tensor([[0.0, math.e - 1, math.e**2 - 1, NAN], [3.0, 3.0, 3.0, NAN]], dtype=torch.float64)
    history = normalise(memory)
    torch.testing.assert_close(history.values[0, :3], torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert history.values[1, :3].tolist() == [0.0] * 3
    assert history.empty.tolist() == [[False, False, False, True]] * 2
    assert history.number.tolist() == [[3], [3]]


def raw(values: list[float]) -> torch.Tensor:
    """A memory whose normalised history is `values`, which must run from 0 to 1."""
    return torch.tensor([values], dtype=torch.float64).expm1()


@pytest.mark.parametrize(
    ("values", "true", "inverted"),
    [
        # Sorted 0, .2, .3, .7, 1. Median .3; deviations 0, .1, .3, .4, .7: MAD .3.
        # Inverted, n odd: the mean of ranks 1 and 2, .25; deviations .05, .05, .25, .45, .75: (.05 + .25) / 2.
        ([0.0, 1.0, 0.2, 0.3, 0.7], 0.3, 0.15),
        # Sorted 0, .2, .6, 1. Median .4; deviations .2, .2, .4, .6: MAD .3.
        # Inverted, n even: rank 2, .6; deviations 0, .4, .4, .6: rank 2, .4.
        ([0.2, 0.0, 1.0, 0.6], 0.3, 0.4),
        ([0.0, 0.2, 1.0, 0.6, NAN, NAN], 0.3, 0.4),
    ],
)
def test_median_absolute_deviation_by_hand(values: list[float], true: float, inverted: float) -> None:
    history = normalise(raw(values))
    assert float(median_absolute_deviation(history)) == pytest.approx(true)
    assert float(median_absolute_deviation(history, inverted_parity=True)) == pytest.approx(inverted)


def test_variance_by_hand_is_that_of_the_population() -> None:
    assert float(variance(normalise(raw([0.0, 1.0, NAN])))) == pytest.approx(0.25)
    assert float(variance(normalise(raw([NAN, 0.0, 0.5, 1.0])))) == pytest.approx(1 / 6)


floats = st.floats(-1e6, 1e6, allow_subnormal=False)
"""Of the smallest subnormal number `torch.log1p` makes 0, and numpy does not."""


@given(hnp.arrays(np.float64, st.integers(1, 12), elements=floats), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_statistics_are_those_of_numpy_whatever_slots_are_empty(values: np.ndarray, empty: int) -> None:
    memory = torch.from_numpy(np.concatenate([values, np.full(empty, np.nan)]))[None]
    history = normalise(memory)
    scaled = np.sign(values) * np.log1p(np.abs(values))
    expected = (scaled - scaled.min()) / (np.ptp(scaled) or 1.0)
    assert float(variance(history)) == pytest.approx(expected.var(), abs=1e-9)
    mad = np.median(np.abs(expected - np.median(expected)))
    assert float(median_absolute_deviation(history)) == pytest.approx(mad, abs=1e-9)


def test_shares_of_nothing_are_the_alternative() -> None:
    otherwise = torch.tensor([0.25, 0.75])
    assert shares(torch.tensor([1.0, 3.0]), otherwise).tolist() == [0.25, 0.75]
    assert shares(torch.zeros(2), otherwise).tolist() == [0.25, 0.75]
