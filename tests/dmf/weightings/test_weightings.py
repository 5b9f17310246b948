"""Each weighting against values worked out by hand, and against TorchJD where it has the method."""

from __future__ import annotations

import itertools
import math
import re

import pytest
import torch
from torch import Tensor

from dmf.weightings import WEIGHTINGS, build_weighting


def run(name: str, losses: list[list[float]], fidelity: str = "paper", **params: object) -> Tensor:
    """Effective weights of every step."""
    weighting = build_weighting(name, len(losses[0]), fidelity, **params)
    return torch.stack([weighting.combine(row).weights for row in torch.tensor(losses, dtype=torch.float64)])


def symexp(rows: list[list[float]]) -> list[list[float]]:
    """Losses whose symmetric logarithm is `rows`."""
    return [[math.copysign(math.expm1(abs(value)), value) for value in row] for row in rows]


def close(found: Tensor, expected: list[float], tolerance: float = 1e-9) -> bool:
    return torch.allclose(found, torch.tensor(expected, dtype=found.dtype), rtol=0, atol=tolerance)


# Three steps of two losses; normalised histories are 0, 1, .5 (variance 1/6, MAD .5) and 0, 1, 1 (2/9, 0).
THREE = symexp([[1.0, 0.0], [3.0, 2.0], [2.0, 2.0]])
# Four steps: 0, 1, .5, .4 (median .45, MAD .25) and 0, 1, 1, .5 (median .75, MAD .25); variances .12694 and .17188.
FOUR = symexp([[0.0, -1.0], [1.0, 1.0], [0.5, 1.0], [0.4, 0.0]])


def test_variance_weights_by_hand() -> None:
    weights = run("variance", THREE, history_size=3)
    assert close(weights[1], [0.5, 0.5])
    assert close(weights[2], [(1 / 6) / (1 / 6 + 2 / 9), (2 / 9) / (1 / 6 + 2 / 9)])


def test_mad_weights_by_hand() -> None:
    # |H - median|: .45, .55, .05, .05 gives .25; .75, .25, .25, .25 gives .25.
    assert close(run("mad", FOUR, history_size=4)[3], [0.5, 0.5])
    # The window forgets the first step: 1, .5, .4 -> 1, 1/6, 0 (MAD 1/6); 1, 1, 0 -> MAD 0, floored at 1e-7.
    one, other = 6.0, 1e7
    window = run("mad", FOUR, history_size=3, history_size_max=3)
    assert close(window[3], [one / (one + other), other / (one + other)])


def test_bayesian_weights_are_mad_weights_times_the_prior() -> None:
    assert close(run("bayesian", FOUR, history_size=4, initial=[3, 1])[3], [0.75, 0.25])
    torch.manual_seed(0)
    losses = torch.rand(40, 3).tolist()
    torch.testing.assert_close(run("bayesian", losses, history_size=5), run("mad", losses, history_size=5))


def test_the_notebook_feeds_the_posterior_back_until_one_weight_is_left() -> None:
    torch.manual_seed(0)
    losses = torch.rand(400, 3).pow(torch.tensor([1.0, 2.0, 3.0]))
    notebook, repaired = (build_weighting("bayesian", 3, fidelity) for fidelity in ("reference", "stable"))
    for row in losses:
        collapsed, kept = notebook(row), repaired(row)
    assert float(collapsed.max()) > 0.999
    assert float(kept.min()) >= 0.05 / 3 - 1e-9


def test_the_notebook_raises_short_memories_without_a_word() -> None:
    weighting = build_weighting("variance", 2, "reference", history_size=4, history_size_max=8)
    assert (weighting.history_size, weighting.memory.capacity) == (30, 90)


def test_the_notebooks_gradient_flows_through_the_statistics() -> None:
    torch.manual_seed(1)
    losses = torch.rand(60, 3, dtype=torch.float64)
    weighting = build_weighting("variance", 3, "reference")
    for row in losses[:-1]:
        weighting(row)

    def total(row: Tensor) -> Tensor:
        return (restored()(row) * row).sum()

    def restored() -> torch.nn.Module:
        twin = build_weighting("variance", 3, "reference")
        twin.load_state_dict(weighting.state_dict())
        return twin

    last = losses[-1].clone().requires_grad_()
    torch.autograd.gradcheck(total, last)
    (expected,) = torch.autograd.grad(total(last), last)
    torch.testing.assert_close(restored().combine(last).weights, expected)
    assert not torch.allclose(expected, restored()(last).detach(), atol=1e-3)


# --- fidelity "stable" ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["variance", "mad", "bayesian"])
def test_a_constant_loss_gets_no_weight(name: str) -> None:
    torch.manual_seed(0)
    losses = torch.rand(20, 3)
    losses[:, 1] = 0.7
    stable = run(name, losses.tolist(), "stable", history_size=5)
    assert close(stable[3], [1 / 3] * 3)
    assert float(stable[-1, 1]) == 0
    assert float(stable[-1].sum()) == pytest.approx(1.0)
    if name != "variance":  # where the inverse of its MAD takes nearly everything
        assert float(run(name, losses.tolist(), history_size=5)[-1, 1]) > 0.999


@pytest.mark.parametrize("name", ["variance", "mad", "bayesian"])
def test_constant_losses_throughout_leave_the_initial_weights(name: str) -> None:
    weights = run(name, [[1.0, 2.0]] * 10, "stable", history_size=3, initial=[1, 3])
    assert close(weights[-1], [0.25, 0.75])


@pytest.mark.parametrize("name", ["variance", "mad", "bayesian"])
def test_a_loss_that_is_not_finite_is_left_out_and_comes_back(name: str) -> None:
    torch.manual_seed(0)
    losses = torch.rand(30, 3)
    losses[10, 2] = math.nan
    weighting = build_weighting(name, 3, "stable", history_size=5, history_size_max=20)
    steps = [weighting.combine(row) for row in losses]
    assert steps[10].weights[2] == 0
    assert steps[10].total.isfinite()
    assert float(steps[10].weights.sum()) == pytest.approx(1.0)
    assert steps[11].weights[2] > 0


def test_in_the_paper_a_nan_is_not_remembered_but_not_hidden_either() -> None:
    torch.manual_seed(0)
    losses = torch.rand(30, 3, dtype=torch.float64)
    spoilt = losses.clone()
    spoilt[10, 2] = math.nan
    weighting = build_weighting("variance", 3, history_size=5, history_size_max=10)
    steps = [weighting.combine(row) for row in spoilt]
    assert steps[10].total.isnan()
    assert all(step.weights.isfinite().all() for step in steps)
    expected = run("variance", losses.tolist(), history_size=5, history_size_max=10)
    torch.testing.assert_close(steps[29].weights, expected[29])


# --- rivals --------------------------------------------------------------------------------------------------------


def test_fixed_and_equal() -> None:
    assert close(run("fixed", [[1.0, 2.0]])[0], [0.5, 0.5])
    assert close(run("fixed", [[1.0, 2.0]], weights=[2, 0])[0], [2.0, 0.0])
    assert close(run("equal", [[1.0, 2.0]])[0], [1.0, 1.0])


def test_softadapt_by_hand() -> None:
    weights = run("softadapt", [[1.0, 1.0], [0.0, 1.0]], beta=1.0)
    assert close(weights[0], [0.5, 0.5])
    assert close(weights[1], [math.exp(-1) / (1 + math.exp(-1)), 1 / (1 + math.exp(-1))])


def test_relobralo_without_lookback_by_hand() -> None:
    weights = run("relobralo", [[1.0, 1.0], [1.0, 2.0]], alpha=0.25, rho=1.0, temperature=1.0)
    balance = [2 / (1 + math.e), 2 * math.e / (1 + math.e)]
    assert close(weights[0], [1.0, 1.0])
    assert close(weights[1], [0.25 + 0.75 * share for share in balance])


def test_relobralo_looks_back_to_the_beginning() -> None:
    weights = run("relobralo", [[1.0, 1.0], [5.0, 5.0], [1.0, 2.0]], alpha=1.0, rho=0.0, temperature=1.0)
    assert close(weights[2], [2 / (1 + math.e), 2 * math.e / (1 + math.e)])


def test_cov_by_hand() -> None:
    # l = 1, then L / mean so far: 2 / 1 and 1 / 2. Means 1.5 and .75, deviations .5 and .25: coefficients 1/3 and 1/3.
    assert close(run("cov", [[1.0, 2.0], [2.0, 1.0]])[1], [0.5, 0.5])
    # l = 1, 3 (mean 2, deviation 1: 1/2) and 1, 1 (no deviation).
    assert close(run("cov", [[1.0, 2.0], [3.0, 2.0]])[1], [1.0, 0.0])


def test_random_weights_are_drawn_anew_and_are_softmax_of_normals() -> None:
    weights = run("random", [[1.0, 1.0]] * 4000, seed=3)
    assert len(torch.unique(weights[:, 0])) == 4000
    log_odds = (weights[:, 0] / weights[:, 1]).log() / math.sqrt(2)
    assert float(log_odds.mean()) == pytest.approx(0, abs=0.05)
    assert float(log_odds.std()) == pytest.approx(1, abs=0.05)
    assert float((log_odds.abs() < 1).double().mean()) == pytest.approx(0.683, abs=0.03)
    assert float(torch.corrcoef(torch.stack([log_odds[1:], log_odds[:-1]]))[0, 1]) == pytest.approx(0, abs=0.05)
    assert not torch.equal(weights[0], run("random", [[1.0, 1.0]], seed=4)[0])


def test_uncertainty_learns_the_log_of_a_constant_loss() -> None:
    weighting = build_weighting("uncertainty", 2)
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        weighting.combine(torch.tensor([0.25, 4.0])).total.backward()
        optimizer.step()
    assert torch.allclose(weighting.log_variance.detach(), torch.tensor([0.25, 4.0]).log(), atol=1e-2)


# --- TorchJD -------------------------------------------------------------------------------------------------------

scalarization = pytest.importorskip("torchjd.scalarization", reason="TorchJD has no scalarizers in this version.")


def gradient(scalarizer: torch.nn.Module, losses: Tensor) -> Tensor:
    leaf = losses.clone().requires_grad_()
    scalarizer(leaf).backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.fixture
def losses() -> Tensor:
    torch.manual_seed(0)
    return torch.rand(24, 3, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("period", [1, 4])
def test_dwa_is_that_of_torchjd(losses: Tensor, period: int) -> None:
    oracle = scalarization.DWA(temperature=2.0)
    weighting = build_weighting("dwa", 3, period=period)
    for step, row in enumerate(losses, start=1):
        torch.testing.assert_close(weighting.combine(row).weights, gradient(oracle, row))
        if step % period == 0:
            oracle.step()


def test_famo_is_that_of_torchjd_when_the_next_batch_is_the_second_look(losses: Tensor) -> None:
    oracle = scalarization.FAMO(3).double()
    weighting = build_weighting("famo", 3)
    for row, following in itertools.pairwise(losses):
        torch.testing.assert_close(weighting.combine(row).weights, gradient(oracle, row))
        oracle.update(following)


def test_gls_is_the_geometric_mean_of_torchjd(losses: Tensor) -> None:
    oracle = scalarization.GeometricMean()
    weighting = build_weighting("gls", 3)
    for row in losses:
        total, weights = weighting.combine(row)
        torch.testing.assert_close(total, oracle(row))
        torch.testing.assert_close(weights, gradient(oracle, row))


def test_uncertainty_is_that_of_torchjd(losses: Tensor) -> None:
    oracle, weighting = scalarization.UW(3), build_weighting("uncertainty", 3)
    sides = [(oracle, oracle.log_var), (weighting, weighting.log_variance)]
    optimizers = [torch.optim.SGD([parameter], lr=0.1) for _, parameter in sides]
    for row in losses:
        totals = oracle(row), weighting.combine(row).total
        torch.testing.assert_close(totals[1], totals[0])
        for total, optimizer in zip(totals, optimizers, strict=True):
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    torch.testing.assert_close(weighting.log_variance, oracle.log_var)


# --- wrong parameters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("fixed", {"weights": [1, 2]}, "`weights` must be 3 finite numbers >= 0, not all 0. Found [1, 2]"),
        ("fixed", {"weights": [0, 0, 0]}, "`weights` must be"),
        ("variance", {"initial": [1, -1, 1]}, "`initial` must be"),
        ("mad", {"history_size": 0}, "`history_size` must be at least 1. Found 0"),
        ("mad", {"history_size": 9, "history_size_max": 5}, "`history_size_max` must be at least `history_size` = 9"),
        ("dwa", {"temperature": 0.0}, "`temperature` must be more than 0. Found 0.0"),
        ("dwa", {"period": 0}, "`period` must be at least 1 step"),
        ("relobralo", {"rho": 2.0}, "`rho` must be from 0 to 1"),
        ("famo", {"learning_rate": -1.0}, "`learning_rate` must be at least 0"),
    ],
)
def test_a_parameter_out_of_range_is_named(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build_weighting(name, 3, **params)


def test_an_unknown_weighting_gets_the_known_ones() -> None:
    with pytest.raises(ValueError, match="Did you mean 'variance'") as caught:
        build_weighting("varaince", 3)
    assert all(name in str(caught.value) for name in WEIGHTINGS)
