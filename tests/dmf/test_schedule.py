"""The auxiliary loss fades as equation (2) says."""

from __future__ import annotations

import math

import pytest
import torch

from dmf.schedule import AuxiliarySchedule


def gammas(schedule: AuxiliarySchedule, steps: int) -> list[float]:
    return [float(schedule()) for _ in range(steps)]


@pytest.mark.parametrize("fidelity", ["paper", "reference"])
def test_gamma_falls_once_every_tick(fidelity: str) -> None:
    values = gammas(AuxiliarySchedule(5.0, 0.05, tick=100, fidelity=fidelity), 201)
    assert values[:100] == [5.0] * 100
    assert values[100:200] == [pytest.approx(5 * math.exp(-0.05))] * 100
    assert values[200] == pytest.approx(5 * math.exp(-0.1))


def test_in_the_papers_own_setting_gamma_never_falls_below_2_4() -> None:
    """453 training images, batch 32 and 100 epochs are 1,500 batches: 15 ticks."""
    schedule = AuxiliarySchedule()
    schedule.step.fill_(1499)
    assert 2.4 < float(schedule()) < 2.5


@pytest.mark.parametrize("total_steps", [50, 5000])
def test_stable_ends_at_the_same_gamma_whatever_the_number_of_batches(total_steps: int) -> None:
    schedule = AuxiliarySchedule(5.0, 0.05, total_steps=total_steps, fidelity="stable")
    assert float(schedule()) == 5.0
    schedule.step.fill_(total_steps // 2)
    assert float(schedule()) == pytest.approx(5 * math.exp(-2.5))
    schedule.step.fill_(total_steps)
    assert float(schedule()) == pytest.approx(5 * math.exp(-5))


def test_gamma_is_float32_whatever_the_default_is() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        schedule = AuxiliarySchedule(5.0, 0.05, total_steps=5000, fidelity="stable")
        schedule.step.fill_(4000)
        gamma = schedule()
    finally:
        torch.set_default_dtype(before)
    assert gamma.dtype == torch.float32
    assert float(gamma) == pytest.approx(5 * math.exp(-4))


def test_a_restored_schedule_goes_on() -> None:
    first, second = AuxiliarySchedule(tick=2), AuxiliarySchedule(tick=2)
    whole = gammas(AuxiliarySchedule(tick=2), 9)
    begun = gammas(first, 5)
    second.load_state_dict(first.state_dict())
    assert begun + gammas(second, 4) == whole


def test_a_step_compiles_into_one_graph() -> None:
    torch.compiler.reset()
    schedule = AuxiliarySchedule(tick=2)
    compiled = torch.compile(schedule, fullgraph=True, backend="eager")
    assert [float(compiled()) for _ in range(4)] == gammas(AuxiliarySchedule(tick=2), 4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gamma0": -1.0}, r"`gamma0` must be at least 0\. Found -1\.0"),
        ({"tau": -1.0}, r"`tau` must be at least 0"),
        ({"tick": 0}, r"`tick` must be at least 1 batch"),
        ({"fidelity": "stable"}, r"`total_steps` must be the number of batches .* Found None"),
        ({"fidelity": "stable", "total_steps": 0}, r"`total_steps` .* Found 0"),
        ({"fidelity": "stabel"}, r"Unknown fidelity 'stabel'\. Did you mean 'stable'"),
    ],
)
def test_a_parameter_out_of_range_is_named(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AuxiliarySchedule(**params)
