"""What lets a training step be one CUDA graph: it neither waits for the device nor keeps anything but tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dmf.fidelity import FIDELITIES
from dmf.losses import LOSSES, FusedLosses, build_loss
from dmf.training.graphs import NoCudaGraph, ReplayedStep
from dmf.training.seeding import reproducible
from dmf.training.trial import Trial
from dmf.weightings import WEIGHTINGS
from tests.support.toy import EVERYTHING, toy_data, toy_spec

WAITS = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2")
BRINGS = ("lift_fresh",)
"""`torch.tensor(numbers)`: a copy from the host's memory, which a graph cannot hold."""


class OnDevice(TorchDispatchMode):
    """Refuses what makes the host wait for a GPU, or brings it numbers from the host; seen on a CPU just as well.

    But that labels on a CPU are looked at in every batch, those on a GPU in the first one alone.
    """

    def __enter__(self) -> OnDevice:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("dmf.losses.problems.require_values", lambda *_: None)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._patch.undo()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).split(".")[1]
        assert name not in WAITS, f"{func} waits for the device"
        assert name not in BRINGS, f"{func} brings numbers from the host"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_no_part_of_a_step_waits_for_the_device(weighting: str, fidelity: str) -> None:
    changes = {"weighting": weighting, "weighting_params": {}, "fidelity": fidelity, "augmentation": EVERYTHING}
    trial, rows = Trial(toy_spec(**changes), toy_data()), torch.arange(4)
    trial.model.train()
    trial.step(rows)
    with OnDevice():
        trial.step(rows)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 8, 8), (2, 3, 8, 8)], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_no_loss_waits_for_the_device(loss: str, shape: tuple[int, ...], fidelity: str) -> None:
    batch, classes, *spatial = shape
    params = {"alpha": [1.0] * classes} if (loss, fidelity) == ("focal", "paper") else {}
    losses = [
        build_loss(loss, classes, fidelity, ignore_index=9, **params),
        build_loss("cross_entropy", classes, ignore_index=9),
    ]
    fused = FusedLosses(losses)
    logits, target = torch.randn(shape, requires_grad=True), torch.randint(classes, (batch, *spatial))
    fused(logits, target)
    with OnDevice():
        fused(logits, target).sum().backward()


@pytest.mark.parametrize("weighting", ["variance", "mad", "bayesian", "uncertainty", "random", "famo", "dwa"])
def test_a_step_has_no_state_but_its_tensors(weighting: str) -> None:
    """What a graph needs: with its tensors put back, the same step changes them in the same way."""
    trial = Trial(toy_spec(weighting=weighting, weighting_params={}, schedule="poly"), toy_data())
    rows = torch.arange(4)
    trial.epoch()

    def take() -> list[torch.Tensor]:
        with reproducible(0):
            trial.step(rows)
        return [tensor.clone() for tensor in trial.training_step.tensors]

    trial.model.train()
    before = [tensor.clone() for tensor in trial.training_step.tensors]
    once = take()
    for tensor, value in zip(trial.training_step.tensors, before, strict=True):
        tensor.copy_(value)
    torch.testing.assert_close(take(), once, rtol=0, atol=0, equal_nan=True)
    assert not all(torch.equal(one, other) for one, other in zip(once, before, strict=True))


@pytest.mark.gpu
def test_a_step_that_waits_for_the_device_goes_on_without_graph() -> None:
    total = torch.zeros((), device="cuda")

    def step(rows: torch.Tensor) -> None:
        total.add_(float(rows.sum()))

    replayed = ReplayedStep(step, lambda: [total])
    rows = torch.ones(3, dtype=torch.int64, device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        replayed(rows)
        with pytest.warns(NoCudaGraph, match="its capture failed"):
            replayed(rows)
        replayed(rows)
    assert float(total) == 9
