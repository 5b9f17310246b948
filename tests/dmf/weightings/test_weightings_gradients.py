"""TorchJD's weightings that look at gradients, adapted."""

from __future__ import annotations

import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dmf.fusion import DynamicMemoryFusion
from dmf.training.checkpoint import read_checkpoint, write_checkpoint
from dmf.weightings import build_weighting
from tests.support import weightings
from tests.support.places import ROOT
from tests.support.weightings import TORCHJD, torchjd_methods

METHODS = ["MGDA", "IMTLG", "AlignedMTL", "PCGrad", "GradVac", "UPGrad", "CAGrad"]
STATEFUL = {"GradVac", "PCD", "CRMOGM"}


def build(method: str, num_losses: int = 2, **params: object) -> torch.nn.Module:
    pytest.importorskip("torchjd")
    return weightings.build(f"torchjd:{method}", num_losses, **params)


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
    expected = getattr(aggregation, method)(**TORCHJD.get(method, {}))(jacobian)
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
    with pytest.raises(
        ImportError, match=r"'torchjd:MGDA' needs TorchJD: pip install 'dynamic-memory-fusion\[gradients\]'"
    ):
        build_weighting("torchjd:MGDA", 2)


# --- every method that TorchJD has ---


every = pytest.mark.parametrize("method", torchjd_methods("gradients"))


def three_losses(shared: Tensor) -> Tensor:
    centres = torch.tensor([[1.0, 0.0, 0.5], [-1.0, 0.0, 0.5], [0.0, 2.0, -1.0]], dtype=shared.dtype)
    return ((shared - centres) ** 2).sum(1)


def steps(weighting: torch.nn.Module, first: int, last: int) -> list[Tensor]:
    """Weights of the steps `first` to `last` of one trace, each from its own generator state, as an epoch has it."""
    weights = []
    for step in range(first, last):
        torch.manual_seed(step)
        shared = torch.randn(3, requires_grad=True)
        weights.append(weighting.combine(three_losses(shared), shared).weights)
    return weights


@every
def test_every_method_gives_the_weights_of_torchjd_itself(method: str) -> None:
    from torchjd import aggregation

    given = {
        name: torch.tensor(value) if isinstance(value, list) else value
        for name, value in TORCHJD.get(method, {}).items()
    }
    if method == "CRMOGM":
        given["weighting"] = aggregation.GradVacWeighting()
    theirs = getattr(aggregation, f"{method}Weighting")(**given)
    for step, weights in enumerate(steps(build(method, 3), 0, 6)):
        torch.manual_seed(step)
        shared = torch.randn(3)
        jacobian = torch.autograd.functional.jacobian(three_losses, shared).double()
        gramian = jacobian @ jacobian.T
        torch.testing.assert_close(weights, theirs(gramian / gramian.diagonal().mean()).float(), rtol=1e-4, atol=1e-5)


@every
@pytest.mark.parametrize("interrupted_at", [0, 1, 5])
def test_a_restored_run_of_every_method_goes_on_bit_for_bit(method: str, interrupted_at: int, tmp_path: Path) -> None:
    """Through a file, as a trial's checkpoint; into a new object, and into one that has gone another way."""
    whole = steps(build(method, 3), 0, 9)
    first = build(method, 3)
    before = steps(first, 0, interrupted_at)
    write_checkpoint({"weighting": first.state_dict()}, tmp_path / "state")
    elsewhere = build(method, 3)
    steps(elsewhere, 20, 23)
    for second in (build(method, 3), elsewhere):
        second.load_state_dict(read_checkpoint(tmp_path / "state")["weighting"])
        assert torch.equal(torch.stack(before + steps(second, interrupted_at, 9)), torch.stack(whole))


@pytest.mark.parametrize("method", sorted(STATEFUL))
def test_stateful_methods_do_remember(method: str) -> None:
    """So that the test above would fail without their state."""
    assert not torch.equal(steps(build(method, 3), 0, 9)[-1], steps(build(method, 3), 8, 9)[-1])


def test_two_calls_share_one_backward_pass() -> None:
    weighting, shared = build("GradVac", 3), torch.randn(3, requires_grad=True)
    sum(weighting.combine(three_losses(shared), shared).total for _ in range(2)).backward()
    assert shared.grad.isfinite().all()


def test_the_extras_are_spelt_as_their_packages_spell_them() -> None:
    """Older versions of pip ignore an extra under another spelling, and UPGrad is not there after the installation."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()]
    asked = [requirement for named in lists for requirement in map(Requirement, named) if requirement.extras]
    assert {"torchjd", "ray", "psycopg"} <= {requirement.name for requirement in asked}
    for requirement in asked:
        offered = metadata.metadata(requirement.name).get_all("Provides-Extra") or []
        assert requirement.extras <= set(offered), requirement
