"""TorchJD's scalarizations, adapted; and all of TorchJD: used, or refused with a reason."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from dmf.training.trial import Trial
from dmf.weightings import KINDS, Weighting, build_weighting, weighting_class
from dmf.weightings.torchjd import REFUSED, SUFFIX, methods
from tests.support.toy import toy_data, toy_spec
from tests.support.weightings import TORCHJD, build, torchjd_methods

torchjd = pytest.importorskip("torchjd")
from torchjd import aggregation, scalarization  # noqa: E402

FUNCTIONS = torchjd_methods("scalarization")
BOTH = ["Constant", "Mean", "Random", "Sum"]
every = pytest.mark.parametrize("method", FUNCTIONS)


def theirs(method: str, num_losses: int = 3) -> nn.Module:
    cls = getattr(scalarization, method)
    given = {
        name: torch.tensor(v).double() if isinstance(v, list) else v for name, v in TORCHJD.get(method, {}).items()
    }
    return cls(**given, **({"shape": num_losses} if "shape" in inspect.signature(cls).parameters else {}))


def make(method: str, num_losses: int = 3, **params: object) -> Weighting:
    return build(f"torchjd:{method}", num_losses, **params)


def trace(steps: int) -> Tensor:
    return torch.rand(steps, 3, generator=torch.Generator().manual_seed(0)) + 0.05


@pytest.mark.parametrize("package", [aggregation, scalarization], ids=["aggregation", "scalarization"])
def test_everything_that_torchjd_offers_is_used_or_refused_with_its_reason(package: object) -> None:
    """Aggregators stand for their weightings; the rest of the names are those of base classes."""
    bases = {"Aggregator", "WeightedAggregator", "GramianWeightedAggregator", "Scalarizer", "Weighting"}
    for name in {public if public == SUFFIX else public.removesuffix(SUFFIX) for public in package.__all__} - bases:
        if name in REFUSED:
            with pytest.raises(ValueError, match=f"'torchjd:{name}' cannot be used here: it .*{REFUSED[name][-20:]}"):
                build_weighting(f"torchjd:{name}", 3)
        else:
            kind, _ = methods()[name]
            assert weighting_class(f"torchjd:{name}") is KINDS[kind]
            assert type(make(name)) is KINDS[kind]


def test_no_reason_is_left_over() -> None:
    offered = {name.removesuffix(SUFFIX) for name in (*aggregation.__all__, *scalarization.__all__)}
    assert REFUSED.keys() <= offered


@pytest.mark.parametrize("method", BOTH)
def test_what_both_packages_have_is_the_same_in_both(method: str) -> None:
    """So one name is enough: that which looks at gradients has the weights of the function of the losses."""
    shared = torch.tensor([0.5, 0.7, 0.9], requires_grad=True)
    torch.manual_seed(0)
    weights = make(method).combine(shared * 1.0, shared).weights
    leaf = torch.tensor([0.5, 0.7, 0.9], dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    (expected,) = torch.autograd.grad(theirs(method)(leaf), leaf)
    torch.testing.assert_close(weights, expected.float())


@every
def test_total_and_gradients_are_torchjds_own(method: str) -> None:
    """While what is learned takes steps, too."""
    ours, other = make(method), theirs(method)
    for losses in trace(8):
        found, expected = losses.clone().requires_grad_(), losses.double().requires_grad_()
        total, weights = ours.combine(found)
        value = other(expected)
        assert total.item() == value.float().item()
        total.backward()
        value.backward()
        torch.testing.assert_close(found.grad, expected.grad.float())
        assert torch.equal(found.grad, weights)
        assert not weights.requires_grad
        with torch.no_grad():
            for mine, its in zip(ours.parameters(), other.parameters(), strict=True):
                torch.testing.assert_close(mine.grad, its.grad)
                mine -= 0.1 * mine.grad
                its -= 0.1 * its.grad
                mine.grad = its.grad = None


def test_hand_worked_weights() -> None:
    """STCH is a softmax, the geometric mean G / (N L), PBI without a penalty the preferred direction itself."""
    losses = torch.tensor([1.0, 4.0])
    _, weights = build_weighting("torchjd:STCH", 2, mu=1.0).combine(losses)
    torch.testing.assert_close(weights, 0.5 * torch.softmax(losses / 2, 0))
    total, weights = build_weighting("torchjd:GeometricMean", 2).combine(losses)
    assert [total.item(), *weights.tolist()] == pytest.approx([2.0, 1.0, 0.25])
    _, weights = build_weighting("torchjd:PBI", 2, theta=0.0, weights=[3.0, 4.0]).combine(losses)
    torch.testing.assert_close(weights, torch.tensor([0.6, 0.8]))
    total, weights = build_weighting("torchjd:IMTLL", 2).combine(losses)
    assert (total.item(), weights.tolist()) == (5.0, [1.0, 1.0])


@every
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_weights_stay_finite(method: str, value: float) -> None:
    """What is not finite counts as it last was; where there is no derivative, each loss has the same weight."""
    weighting = make(method)
    first = weighting.combine(torch.tensor([0.5, 0.6, 0.7])).weights
    total, weights = weighting.combine(torch.tensor([0.5, value, 0.7]))
    assert weights.isfinite().all()
    assert total.isfinite() == (value == 0)
    if value != 0:
        assert weighting.last.tolist() == pytest.approx([0.5, 0.6, 0.7])
        assert torch.equal(weights, first)


@every
def test_on_the_common_scale_weights_sum_to_one_and_evaluation_changes_nothing(method: str) -> None:
    own, common = make(method), make(method, scale="sum1")
    for losses in trace(4):
        free, (_, weights) = own.combine(losses).weights, common.combine(losses)
        torch.testing.assert_close(weights, free / free.sum())
    before = own.last.clone()
    looked = own.eval().combine(torch.tensor([0.3, 0.2, 0.1]))
    assert torch.equal(own.last, before)
    assert all(map(torch.equal, looked, own.train().combine(torch.tensor([0.3, 0.2, 0.1]))))


@every
def test_without_gradients_it_answers_the_same(method: str) -> None:
    """Inference mode keeps tensors from being differentiated, even with gradients enabled in it."""
    weighting, losses = make(method).eval(), torch.tensor([0.3, 0.2, 0.1])
    expected = weighting.combine(losses)
    for without in (torch.no_grad, torch.inference_mode):
        with without():
            assert all(map(torch.equal, weighting.combine(1 * losses), expected))


@every
def test_it_follows_to_float32_and_stays_out_of_half_precision(method: str) -> None:
    plain, changed, half = make(method), make(method).float(), make(method).half()
    for losses in trace(3):
        expected = plain.combine(losses)
        torch.testing.assert_close(changed.combine(losses), expected, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(half.combine(losses), expected)
        assert expected.total.dtype == expected.weights.dtype == torch.float32


def test_wrong_parameters_are_named_before_the_first_step() -> None:
    with pytest.raises(ValueError, match=r"'torchjd:STCH' cannot take these parameters: .*'mo'"):
        build_weighting("torchjd:STCH", 2, mo=1.0)
    with pytest.raises(ValueError, match=r"`mu` should be strictly positive"):
        build_weighting("torchjd:STCH", 2, mu=0.0)
    for method, params in (("PBI", {"theta": 1.0}), ("COSMOS", {"lambda_": 1.0}), ("UPGrad", {})):
        key = "pref_vector" if method == "UPGrad" else "weights"
        with pytest.raises(ValueError, match=rf"`{key}` must be 3 numbers, one for each loss\. Found \[1\.0, 2\.0\]"):
            build_weighting(f"torchjd:{method}", 3, **params, **{key: [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"`weighting` must be one of .*UPGrad.* Found 'STCH'"):
        build_weighting("torchjd:CRMOGM", 2, weighting="STCH")
    with pytest.raises(ValueError, match=r"`method` must be one of .*STCH.* Found 'STHC'"):
        build_weighting("torchjd:STHC", 2)


@pytest.mark.parametrize("method", ["STCH", "IMTLL"])
def test_a_trial_takes_it_and_records_its_weights(method: str) -> None:
    """The recorded weight is ∂total/∂L at the recorded losses; of what is learned, as far as it is learned."""
    spec = toy_spec(weighting=f"torchjd:{method}", weighting_params=TORCHJD.get(method, {}), epochs=1)
    trial = Trial(spec, toy_data())
    steps = trial.epoch().steps
    losses = torch.stack([torch.tensor(steps[f"loss/{name}"]) for name in trial.fusion.loss_names], 1).float()
    weights = torch.stack([torch.tensor(steps[f"weight/{name}"]) for name in trial.fusion.loss_names], 1).float()
    fresh = make(method, losses.shape[1])
    torch.testing.assert_close(fresh.combine(losses[0]).weights, weights[0])
    if method == "STCH":
        torch.testing.assert_close(torch.stack([fresh.combine(row).weights for row in losses]), weights)
    else:
        assert (weights[-1] != 1).all()
