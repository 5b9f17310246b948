"""Values and gradient in one step of autograd: those of its own steps, however many are asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from dmf.losses import FusedLosses, build_loss, evaluate
from dmf.losses.families import Counts
from dmf.losses.problems import prepare
from tests.dmf.losses.test_compiled_losses import SIX, example

pytest.importorskip("numba")
from dmf.losses.direct import Plan


@pytest.mark.parametrize("fidelity", ["paper", "stable"])
@pytest.mark.parametrize("params", [{}, {"class_weights": (0.0, 3.0, 0.5)}], ids=str)
def test_values_in_one_step_of_autograd_are_those_of_its_own_steps(fidelity: str, params: dict[str, object]) -> None:
    """Of class weights some are 0, and a class is absent."""
    logits, target = example((2, 3, 20, 21))
    target = target.clamp_max(1)
    losses = [build_loss(name, 3, fidelity, **params) for name in SIX]
    plan = Plan.of(losses)
    assert plan is not None
    problem = prepare(logits, target, losses[0].task)[0]
    weights = torch.linspace(0.5, 2, len(losses))
    found, expected = plan.values(*problem), plan.plain(*problem)
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-6)
    slopes = [torch.autograd.grad(values @ weights, logits)[0] * target.numel() for values in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=2e-6)


def test_a_loss_with_values_of_its_own_is_taken_by_them() -> None:
    class Squared(type(build_loss("dice", 2))):  # type: ignore[misc]
        def from_counts(self, counts: Counts) -> Tensor:
            return super().from_counts(counts).square()  # type: ignore[no-any-return]

    logits, target = example((2, 2, 9, 9))
    dice, squared = build_loss("dice", 2), Squared(2)
    assert Plan.of([dice]) is not None
    assert Plan.of([dice, squared]) is None
    values = evaluate([dice, squared], logits, target)
    torch.testing.assert_close(values[1], values[0] ** 2)


@pytest.mark.parametrize("names", [SIX, ("cross_entropy", "exponential", "dice")], ids=["direct", "by counts"])
@pytest.mark.parametrize("numba", [True, False], ids=["loops", "operations"])
def test_all_gradients_at_once_are_those_one_by_one(
    names: tuple[str, ...], numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `torch.autograd.functional.jacobian(vectorize=True)`, `torch.func` and TorchJD ask for them."""
    monkeypatch.setattr("dmf.kernels.installed", lambda: numba)
    logits, target = example((2, 3, 5, 5))
    fused = FusedLosses([build_loss(name, 3) for name in names])
    values = fused(logits, target)
    expected = torch.stack([torch.autograd.grad(value, logits, retain_graph=True)[0] for value in values])
    ones = torch.eye(len(names))
    found = torch.autograd.grad(values, logits, ones, is_grads_batched=True)[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)
    found = torch.func.jacrev(lambda z: fused(z, target))(logits.detach())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


@pytest.fixture
def other_defaults() -> Iterator[None]:
    """As people set them who compute elsewhere and in float64."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


@pytest.mark.parametrize("names", [SIX, ("cross_entropy", "exponential", "dice")], ids=["direct", "by counts"])
def test_the_defaults_of_torch_do_not_matter(names: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    logits, target = example((2, 3, 20, 21))
    losses = [build_loss(name, 3) for name in names]
    weights = torch.linspace(0.5, 2, len(losses))

    def found() -> tuple[Tensor, Tensor]:
        values = evaluate(losses, logits, target)
        return values, torch.autograd.grad(values @ weights, logits)[0]

    expected = found()
    request.getfixturevalue("other_defaults")
    assert all(
        torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(found(), expected, strict=True)
    )


def test_loops_take_a_processors_tensors_and_no_others_whatever_the_default_device_was_at_import() -> None:
    program = """if True:
        import torch
        torch.set_default_device("meta")
        from dmf.kernels import usable
        print(usable(torch.empty(0, device="cpu")), usable(torch.empty(0, device="meta")))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
