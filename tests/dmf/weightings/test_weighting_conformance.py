"""What every registered weighting promises, whatever its method."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dmf.fidelity import FIDELITIES
from dmf.weightings import KINDS, WEIGHTINGS, Weighting, build_weighting
from dmf.weightings.base import SCALES
from tests.support.weightings import SHORT, build

# With an equal prior the paper's equation (8) is its equation (6); with equal weights, `fixed` is the mean.
DISTINCT: dict[str, dict[str, Any]] = {"bayesian": {"initial": [0.5, 0.3, 0.2]}}
POSITIONAL = {"random"}
VARIANTS = [
    (name, fidelity) for name in WEIGHTINGS for fidelity in FIDELITIES if fidelity == "paper" or name in list(SHORT)[:3]
]
every_variant = pytest.mark.parametrize(("name", "fidelity"), VARIANTS)


def trace(steps: int, num_losses: int = 3, seed: int = 0) -> Tensor:
    """Losses that fall at different rates, with noise of different size."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(steps, num_losses, generator=generator) ** 2
    time, index = torch.arange(steps)[:, None] / steps, torch.arange(1, num_losses + 1)
    return (1 / index) * torch.exp(-time * index) + 0.1 * index * noise + 0.05


def train(weighting: Weighting, losses: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(total, effective weights, gradient of the losses) of each step; learned weights take a step of SGD."""
    for values in losses:
        leaf = values.clone().requires_grad_()
        total, weights = weighting.combine(leaf)
        total.backward()
        with torch.no_grad():
            for parameter in weighting.parameters():
                parameter -= 0.1 * parameter.grad
                parameter.grad = None
        yield total.detach(), weights, leaf.grad


def all_subclasses(cls: type) -> set[type]:
    return set(cls.__subclasses__()).union(*(all_subclasses(sub) for sub in cls.__subclasses__()))


def test_every_weighting_is_registered() -> None:
    concrete = {
        cls for cls in all_subclasses(Weighting) if not cls.__abstractmethods__ and cls.__module__[:4] == "dmf."
    }
    assert concrete - set(KINDS.values()) == set(WEIGHTINGS.values())  # those have many names, and tests of their own


@every_variant
@pytest.mark.parametrize("num_losses", [1, 16])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_weights_are_finite_whatever_the_losses(name: str, fidelity: str, num_losses: int, data: st.DataObject) -> None:
    magnitudes = st.floats(-12, 12).flatmap(lambda power: st.sampled_from([10.0**power, -(10.0**power)]))
    special = st.sampled_from([0.0, 1.0, 1e-12, -1e12, float("nan"), float("inf"), float("-inf")])
    vectors = st.lists(magnitudes | special, min_size=num_losses, max_size=num_losses)
    drawn = data.draw(st.lists(vectors, min_size=1, max_size=4))
    scale = data.draw(st.sampled_from(SCALES))
    weighting = build(name, num_losses, fidelity, scale=scale)
    for values in itertools.islice(itertools.cycle(drawn), 40):
        losses = torch.tensor(values, dtype=torch.float32)
        # Where a loss is NaN so is the gradient through the notebook's statistics; its weights still are not.
        weights = weighting(losses).detach() if fidelity == "reference" else weighting.combine(losses).weights
        total = 1.0 if scale == "sum1" and fidelity != "reference" else weighting.sums_to
        assert weights.isfinite().all(), (values, weights)
        assert total is None or float(weights.sum()) == pytest.approx(total, rel=1e-5)
        assert all(buffer.isfinite().all() for key, buffer in weighting.named_buffers() if key != "memory.values")


@every_variant
@pytest.mark.parametrize("value", [0.0, -3.0, 1e-12, 1e12])
def test_constant_losses_leave_finite_weights_and_total(name: str, fidelity: str, value: float) -> None:
    weighting = build(name, 3, fidelity)
    for total, weights, gradient in train(weighting, torch.full((40, 3), value)):
        assert total.isfinite()
        assert weights.isfinite().all()
        assert gradient.isfinite().all()


@every_variant
def test_effective_weights_are_the_gradient_of_the_total(name: str, fidelity: str) -> None:
    for _, weights, gradient in train(build(name, 3, fidelity), trace(60)):
        torch.testing.assert_close(weights, gradient, rtol=1e-6, atol=1e-7)
        assert not weights.requires_grad


@every_variant
def test_on_the_common_scale_effective_weights_sum_to_one(name: str, fidelity: str) -> None:
    own, common = train(build(name, 3, fidelity), trace(60)), train(build(name, 3, fidelity, scale="sum1"), trace(60))
    for (_, free, _), (_, weights, gradient) in zip(own, common, strict=True):
        assert float(weights.sum()) == pytest.approx(1.0, rel=1e-5)
        torch.testing.assert_close(gradient, weights, rtol=1e-5, atol=1e-6)
        if name != "uncertainty":  # it learns by a gradient on that scale
            torch.testing.assert_close(weights, free / free.sum(), rtol=1e-5, atol=1e-6)


@every_variant
@pytest.mark.parametrize("interrupted_at", [1, 5, 33])
def test_a_restored_run_goes_on_bit_for_bit(name: str, fidelity: str, interrupted_at: int) -> None:
    losses = trace(60)
    whole = build(name, 3, fidelity)
    first = build(name, 3, fidelity)
    before = list(train(first, losses[:interrupted_at]))
    second = build(name, 3, fidelity, **({"seed": 99} if "seed" in SHORT.get(name, {}) else {}))
    second.load_state_dict(first.state_dict())
    after = list(train(second, losses[interrupted_at:]))
    for expected, found in zip(train(whole, losses), before + after, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@every_variant
def test_permuted_losses_get_permuted_weights(name: str, fidelity: str) -> None:
    order = torch.tensor([2, 0, 1])
    losses = trace(60)
    pairs = zip(train(build(name, 3, fidelity), losses), train(build(name, 3, fidelity), losses[:, order]), strict=True)
    agree = [torch.allclose(plain[1][order], permuted[1], rtol=1e-5, atol=1e-7) for plain, permuted in pairs]
    assert all(agree) != (name in POSITIONAL)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_all_weightings_differ_on_one_trace(fidelity: str) -> None:
    def weights(name: str) -> Tensor:
        weighting = build(name, 3, fidelity, **DISTINCT.get(name, {}))
        return torch.stack([step[1] for step in train(weighting, trace(120))])

    histories = {name: weights(name) for name in WEIGHTINGS}
    for (one, first), (other, second) in itertools.combinations(histories.items(), 2):
        assert (first - second).abs().max() > 1e-3, f"{one} and {other} give the same weights"


@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_and_total_have_the_dtype_of_the_losses(name: str, fidelity: str, dtype: torch.dtype) -> None:
    total, weights = build(name, 3, fidelity).combine(trace(1)[0].to(dtype))
    assert total.dtype == weights.dtype == dtype
    assert total.shape == ()
    assert weights.shape == (3,)


@every_variant
def test_a_step_compiles_into_one_graph(name: str, fidelity: str) -> None:
    if fidelity == "reference":
        pytest.skip("It differentiates inside the step, which dynamo traces on request only.")
    losses = trace(12)
    plain, compiled = build(name, 3, fidelity), build(name, 3, fidelity)
    torch.compiler.reset()
    step = torch.compile(compiled.combine, fullgraph=True, backend="eager")
    for values in losses:
        expected, found = plain.combine(values), step(values)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_wrong_parameters_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"'{name}' has no parameter `histry_size`\. It takes .*scale"):
        build_weighting(name, 3, histry_size=3)
    with pytest.raises(ValueError, match=r"`num_losses` must be at least 1\. Found 0"):
        build_weighting(name, 0)
    with pytest.raises(ValueError, match="`scale` must be one of " + ", ".join(SCALES)):
        build_weighting(name, 3, scale="sum2")
    with pytest.raises(ValueError, match=r"`losses` must have shape \(3,\)\. Found \(2,\)"):
        build_weighting(name, 3)(torch.ones(2))
    with pytest.raises(ValueError, match=r"Unknown fidelity 'papre'\. Did you mean 'paper'"):
        build_weighting(name, 3, "papre")


@every_variant
@pytest.mark.parametrize("convert", [torch.nn.Module.half, torch.nn.Module.bfloat16, torch.nn.Module.double])
def test_half_precision_leaves_the_memory_as_it_is(
    name: str, fidelity: str, convert: Callable[[Weighting], Weighting]
) -> None:
    """As when a whole model is made half with its losses in it; `famo` once answered NaN, `dwa` counted to 256."""
    losses = trace(60)
    changed = convert(build(name, 3, fidelity))
    for expected, found in zip(train(build(name, 3, fidelity), losses), train(changed, losses), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    held = build(name, 3, fidelity).train().state_dict()
    for key, value in convert(build(name, 3, fidelity)).state_dict().items():
        assert value.dtype in (held[key].dtype, torch.float64)


@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_calls_share_one_backward_pass(name: str, fidelity: str, dtype: torch.dtype) -> None:
    weighting = build(name, 3, fidelity)
    first, second = (values.to(dtype).requires_grad_() for values in trace(2))
    one, other = weighting.combine(first), weighting.combine(second)
    (one.total + other.total).backward()
    torch.testing.assert_close(first.grad, one.weights)
    torch.testing.assert_close(second.grad, other.weights)
    assert all(parameter.grad.isfinite().all() for parameter in weighting.parameters())
