"""What a search proposes: within its ranges, by Tune's own searchers, and the same again after whatever was killed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from dmf.training.spec import TrialSpec
from pipelines.grid.proposals import ROUND, proposals
from tune_spaces.tuned import SEED, Search, Values, parse_tuned

SPACE = {
    "weights": "simplex",
    "learning_rate": {"loguniform": [1e-4, 1e-2]},
    "weight_decay": {"uniform": [0.0, 0.1]},
    "tick": {"integer": [3, 5]},
    "batch_size": {"choice": [8, 16]},
}


def search(trials: int, method: str = "random", dataset: str = "phantom", **more: Any) -> Search:
    tuned = {**SPACE, "budget": {"trials": trials}, "method": method}
    base = TrialSpec(dataset=dataset, seed=SEED, weighting="fixed", auxiliary=None, **more)
    return Search("fixed · tuned", base, parse_tuned(Path("s.yaml"), "grid.0.tuned", {"tuned": tuned}))


def goodness(values: Values) -> float:
    """Best at a learning rate of 0.001."""
    rate = values["learning_rate"]
    assert isinstance(rate, float)
    return -abs(math.log10(rate) + 3)


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_proposals_lie_in_their_ranges(method: str) -> None:
    found = proposals(search(ROUND, method), [])
    assert len(found) == ROUND
    for values in found:
        weights = values["weights"]
        assert isinstance(weights, list)
        assert len(weights) == 3
        assert sum(weights) == pytest.approx(1, abs=1e-12)
        assert min(weights) >= 0
        assert 1e-4 <= values["learning_rate"] <= 1e-2  # type: ignore[operator]
        assert 0 <= values["weight_decay"] <= 0.1  # type: ignore[operator]
        assert values["tick"] in (3, 4, 5)
        assert values["batch_size"] in (8, 16)
        assert type(values["tick"]) is type(values["batch_size"]) is int
        assert float(f"{values['learning_rate']:.4g}") == values["learning_rate"], "what is printed is what is trained"


def test_a_log_uniform_range_gives_each_decade_as_much() -> None:
    """Of 400 draws from two decades about half are in the first: sd 10, so 60 is six of them."""
    found = proposals(search(400), [])
    low = sum(values["learning_rate"] < 1e-3 for values in found)  # type: ignore[operator]
    assert abs(low - 200) < 60
    assert {values["tick"] for values in found} == {3, 4, 5}
    assert {values["batch_size"] for values in found} == {8, 16}


def test_a_random_proposal_follows_from_the_row_the_data_set_the_split_and_its_number() -> None:
    found = proposals(search(6), [])
    assert proposals(search(6), [0.5, None, 0.3]) == found, "no score changes it"
    assert proposals(search(9), [])[:6] == found, "a larger budget goes on"
    others = [search(6, dataset="busi"), search(6, split="fold:1"), search(6, fidelity="stable")]
    for other in others:
        assert proposals(other, []) != found
    assert len({repr(values) for values in found}) == 6


def test_optuna_proposes_round_by_round_and_makes_the_same_ones_again() -> None:
    optuna = search(2 * ROUND + 3, "optuna")
    first = proposals(optuna, [])
    assert len(first) == ROUND
    scores: list[float | None] = [goodness(values) for values in first]
    for number in range(ROUND):
        assert proposals(optuna, scores[:number]) == first, "until a round is complete it is all there is"
    second = proposals(optuna, scores)
    assert second[:ROUND] == first
    assert len(second) == 2 * ROUND
    scores += [goodness(values) for values in second[ROUND:]]
    third = proposals(optuna, scores)
    assert third[: 2 * ROUND] == second
    assert len(third) == 2 * ROUND + 3
    assert proposals(optuna, [*scores, 0.1, 0.2, None]) == third


def test_optuna_learns_from_scores() -> None:
    """After rounds whose scores differ only in sign, it proposes other things."""
    optuna = search(3 * ROUND, "optuna")
    ways = []
    for sign in (1, -1):
        scores: list[float | None] = []
        while len(scores) < 3 * ROUND:
            made = proposals(optuna, scores)
            scores += [sign * goodness(values) for values in made[len(scores) :]]
        ways.append(made)
    assert ways[0][:ROUND] == ways[1][:ROUND]
    assert ways[0][2 * ROUND :] != ways[1][2 * ROUND :]


def test_optuna_leaves_out_what_diverged() -> None:
    optuna = search(2 * ROUND, "optuna")
    assert len(proposals(optuna, [None] * ROUND)) == 2 * ROUND
