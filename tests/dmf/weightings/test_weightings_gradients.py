"""TorchJD's weightings that look at gradients, adapted."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from dmf.fusion import DynamicMemoryFusion
from dmf.weightings import build_weighting

METHODS = ["MGDA", "IMTLG", "AlignedMTL", "PCGrad", "GradVac", "UPGrad", "CAGrad"]
PARAMS = {"CAGrad": {"c": 0.5}}


def build(method: str, num_losses: int = 2, **params: object) -> torch.nn.Module:
    pytest.importorskip("torchjd")
    try:
        return build_weighting(f"torchjd:{method}", num_losses, **PARAMS.get(method, {}), **params)
    except ImportError as error:
        pytest.skip(str(error))


def two_losses(shared: Tensor) -> Tensor:
    """Conflicting ones: gradients (2x - 2, 2y) and (2x + 2, 2y)."""
    return torch.stack([((shared - torch.tensor(centre)) ** 2).sum() for centre in ([1.0, 0.0], [-1.0, 0.0])])


@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_is_that_of_torchjds_aggregator(method: str) -> None:
    weighting = build(method)
    shared = torch.tensor([0.4, 0.5], requires_grad=True)
    torch.manual_seed(0)
    total, weights = weighting.combine(two_losses(shared), shared)
    total.backward()
    from torchjd import aggregation

    jacobian = torch.autograd.functional.jacobian(two_losses, shared.detach())
    torch.manual_seed(0)
    expected = getattr(aggregation, method)(**PARAMS.get(method, {}))(jacobian)
    torch.testing.assert_close(shared.grad, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weights @ jacobian, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_small_gradients_weigh_as_large_ones(method: str) -> None:
    """Those of a mean over many pixels are small, and TorchJD alone would take them for none."""
    weights = []
    for size in (1.0, 1e-6):
        weighting = build(method)
        shared = torch.tensor([0.4, 0.5], requires_grad=True)
        torch.manual_seed(0)
        weights.append(weighting.combine(size * two_losses(shared), shared).weights)
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)


def test_mgda_finds_the_balance_of_opposed_gradients() -> None:
    weighting = build("MGDA", scale="sum1")
    shared = torch.tensor([0.5, 0.0], requires_grad=True)
    # Gradients -1 and 3 along one axis: 3/4 and 1/4 of them cancel.
    _, weights = weighting.combine(two_losses(shared), shared)
    torch.testing.assert_close(weights, torch.tensor([0.75, 0.25]), rtol=0, atol=1e-3)


def test_in_a_fusion_the_shared_tensor_is_the_logits() -> None:
    build("MGDA")
    fusion = DynamicMemoryFusion(["cross_entropy", "dice"], "torchjd:MGDA", "cb_dice")
    logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    out = fusion(logits, torch.randint(0, 2, (2, 8, 8)))
    out.total.backward()
    assert float(out.weights.sum()) == pytest.approx(1.0, abs=1e-6)
    assert logits.grad is not None


def test_a_gramian_that_is_not_finite_leaves_equal_weights() -> None:
    shared = torch.tensor([float("nan"), 0.0], requires_grad=True)
    assert build("MGDA").combine(two_losses(shared), shared).weights.tolist() == [0.5, 0.5]


def test_no_gradient_at_all_leaves_equal_weights() -> None:
    shared = torch.tensor([0.5, 0.0], requires_grad=True)
    assert build("CAGrad").combine(0 * two_losses(shared), shared).weights.tolist() == [0.5, 0.5]


def test_wrong_use_is_named() -> None:
    weighting = build("MGDA")
    with pytest.raises(ValueError, match=r"`shared` of MGDA must be .* Found None"):
        weighting.combine(torch.ones(2))
    with pytest.raises(ValueError, match=r"MGDA weighs gradients: call `combine"):
        weighting(torch.ones(2))
    with pytest.raises(ValueError, match=r"`method` must be one of .*MGDA.*UPGrad.* Found 'MDGA'"):
        build_weighting("torchjd:MDGA", 2)
    with pytest.raises(ValueError, match=r"'torchjd:MGDA' cannot take these parameters: .*'epsilno'"):
        build_weighting("torchjd:MGDA", 2, epsilno=1)


def test_without_torchjd_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(ImportError, match=r"'torchjd:MGDA' needs TorchJD: pip install 'dmf\[gradients\]'"):
        build_weighting("torchjd:MGDA", 2)
