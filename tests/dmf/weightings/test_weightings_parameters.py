"""TorchJD's weightings that look at gradients with respect to parameters: ExcessMTL, MoDo, SDMGrad."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from dmf.fusion import DynamicMemoryFusion
from dmf.weightings import build_weighting
from dmf.weightings.torchjd import OF_TWO_BATCHES
from tests.support.weightings import build, torchjd_methods

every = pytest.mark.parametrize("method", torchjd_methods("parameters"))


def losses(parameters: Tensor, batch: Tensor) -> Tensor:
    """Two of a linear model, with conflicting targets."""
    return torch.stack([((batch @ parameters - target) ** 2).mean() for target in (1.0, -1.0)])


@every
def test_weights_are_torchjds_own_of_the_gradients_of_the_parameters(method: str) -> None:
    from torchjd import aggregation

    weighting, theirs = build(f"torchjd:{method}", 2), getattr(aggregation, f"{method}Weighting")()
    parameters = torch.tensor([0.4, 0.5, -0.2], requires_grad=True)
    for both in torch.randn(6, 2, 8, 3, generator=torch.Generator().manual_seed(0)):
        pairs = torch.stack([losses(parameters, batch) for batch in both], 1)
        given = pairs if method in OF_TWO_BATCHES else pairs[:, 0]
        total, weights = weighting.combine(given, [parameters])
        one, other = (torch.autograd.functional.jacobian(partial(losses, batch=batch), parameters) for batch in both)
        matrix = one.double() @ other.double().T if method in OF_TWO_BATCHES else one
        torch.testing.assert_close(weights, theirs(matrix).float(), rtol=1e-5, atol=1e-6)
        (gradient,) = torch.autograd.grad(total, parameters)
        expected = weights @ ((one + other) / 2 if method in OF_TWO_BATCHES else one)
        torch.testing.assert_close(gradient, expected)
        with torch.no_grad():
            parameters -= 0.05 * gradient


@every
def test_what_is_no_parameter_is_refused_and_a_fusion_too(method: str) -> None:
    weighting, features = build(f"torchjd:{method}", 2), torch.ones(3, requires_grad=True) * 1
    values = torch.stack([features[:2], features[1:]]) if method in OF_TWO_BATCHES else features[:2]
    with pytest.raises(ValueError, match=f"`shared` must be parameters, such as those of the trunk, for {method}"):
        weighting.combine(values, features)
    for given in (f"torchjd:{method}", weighting):
        with pytest.raises(ValueError, match=r"cannot be used here: it looks at gradients with respect to parameters"):
            DynamicMemoryFusion(["dice", "iou"], given)


def test_a_matrix_that_is_not_finite_leaves_equal_weights_and_the_memory() -> None:
    weighting, parameters = build("torchjd:ExcessMTL", 2), torch.ones(2, requires_grad=True)
    weighting.combine(parameters * torch.tensor([1.0, 3.0]), parameters)
    before = weighting.get_extra_state()[""]["_sq_grad_sum"].clone()
    assert weighting.combine(parameters * float("nan"), parameters).weights.tolist() == [0.5, 0.5]
    assert torch.equal(weighting.get_extra_state()[""]["_sq_grad_sum"], before)


def test_a_single_loss_where_a_pair_is_wanted_is_said() -> None:
    with pytest.raises(ValueError, match=r"Loss `a` must be a tensor of shape \(2,\), one loss for each of two"):
        build_weighting("torchjd:MoDo", ["a"]).combine({"a": torch.ones(())})
