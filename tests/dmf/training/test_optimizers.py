"""The optimiser and the size of its steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dmf.models import build_model
from dmf.training.optimizers import build_optimizer
from dmf.training.spec import OPTIMIZERS
from dmf.training.trial import Trial
from tests.support.toy import toy_data, toy_spec

PLAIN = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_step_is_torchs_own_whatever_the_layout(name: str, memory_format: torch.memory_format) -> None:
    spec = toy_spec(optimizer=name, learning_rate=0.01, weight_decay=0.1)
    ours, theirs = (build_model("unet", 1, 2, image_size=16, base_filters=4) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    ours.to(memory_format=memory_format)  # type: ignore[call-overload]
    found = build_optimizer(spec, ours.parameters(), torch.device("cpu"))
    plain = PLAIN[name](theirs.parameters(), lr=0.01, weight_decay=0.1)
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for _ in range(4):
        for model, optimizer in ((ours, found), (theirs, plain)):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(images), torch.ones(2, 2, 16, 16)).backward()
        # Adam divides small gradients by their own size, so compare steps on equal gradients.
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert one.grad is not None
            one.grad.copy_(other.grad)
        found.step()
        plain.step()
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def rates(trial: Trial) -> list[float]:
    """The learning rate at every step of a training."""
    seen: list[float] = []
    group = trial.training_step.optimizer.param_groups[0]
    trial.training_step.optimizer.register_step_pre_hook(lambda *_: seen.append(float(group["lr"])))
    while not trial.done:
        trial.epoch()
    return seen


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_polynomial_schedule_falls_at_every_step_of_the_whole_training(optimizer: str) -> None:
    spec = toy_spec(schedule="poly", schedule_power=0.9, learning_rate=0.5, epochs=2, optimizer=optimizer)
    expected = [0.5 * (1 - step / 6) ** 0.9 for step in range(6)]  # 12 images in batches of 4, twice
    assert rates(Trial(spec, toy_data())) == pytest.approx(expected, rel=1e-12)


def test_a_constant_rate_is_constant_and_power_zero_too() -> None:
    assert set(rates(Trial(toy_spec(learning_rate=0.25, epochs=2), toy_data()))) == {0.25}
    assert set(rates(Trial(toy_spec(learning_rate=0.25, epochs=2, schedule="poly", schedule_power=0), toy_data()))) == {
        0.25
    }


def test_an_epoch_reports_the_rate_of_its_last_step() -> None:
    trial = Trial(toy_spec(schedule="poly", schedule_power=1.0, learning_rate=0.6, epochs=2), toy_data())
    assert [trial.epoch().learning_rate for _ in range(2)] == pytest.approx([0.4, 0.1])


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_on_a_gpu_the_rate_is_a_tensor_of_the_same_values(optimizer: str) -> None:
    spec = toy_spec(schedule="poly", learning_rate=0.5, epochs=2, optimizer=optimizer)
    trial = Trial(spec, toy_data(), device="cuda")
    reported = [trial.epoch().learning_rate for _ in range(2)]
    assert isinstance(trial.training_step.optimizer.param_groups[0]["lr"], torch.Tensor)
    assert reported == pytest.approx([0.5 * (1 - step / 6) ** 0.9 for step in (2, 5)], rel=1e-6)
