"""`tuned`: what a block may say, which specs it stands for, and what is said of a block that cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmf.training.spec import TrialSpec
from tests.support.grids import tiny
from tune_spaces import ConfigError
from tune_spaces.expand import expand
from tune_spaces.strict_yaml import read_yaml
from tune_spaces.tuned import SEED, simplex, values_of, with_values

WEIGHTS = {"weights": "simplex", "budget": {"trials": 4}}
FIXED = {"weighting": "fixed", "auxiliary": None}


def grid(tuned: Any, **block: Any) -> list[dict[str, Any]]:
    return [FIXED, {**FIXED, "tuned": tuned, **block}]


def refusal(folder: Path, tuned: Any, **block: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        expand(tiny(folder, grid=grid(tuned, **block)))
    return str(caught.value)


def test_a_simplex_is_a_broken_stick() -> None:
    """By hand: of three, w1 = 1 - sqrt(1/4); half of what is left is w2, and w3 the rest."""
    assert simplex([0.25, 0.5]) == [0.5, 0.25, 0.25]
    assert simplex([0.3]) == [0.7, 0.3]
    assert simplex([]) == [1.0]
    assert simplex([0.0, 0.5]) == [1.0, 0.0, 0.0]
    assert simplex([1.0, 1.0]) == [0.0, 0.0, 1.0]


def test_a_simplex_of_uniform_numbers_is_a_flat_dirichlet() -> None:
    """Of N weights each has mean 1/N and variance (N - 1) / (N² (N + 1)); they sum to 1 and none is negative."""
    drawn = np.array([simplex(row) for row in np.random.default_rng(0).uniform(size=(20000, 3)).tolist()])
    np.testing.assert_allclose(drawn.sum(1), 1, atol=1e-12)
    assert drawn.min() >= 0
    np.testing.assert_allclose(drawn.mean(0), 1 / 4, atol=0.005)
    np.testing.assert_allclose(drawn.var(0), 3 / (16 * 5), atol=0.002)


def test_a_tuned_row_has_a_name_of_its_own_and_the_others_keep_theirs(tmp_path: Path) -> None:
    blocks = [{**FIXED, "weighting_params": [{}, {"weights": [1, 0, 0]}]}, {**FIXED, "tuned": WEIGHTS}]
    cells = expand(tiny(tmp_path, grid=blocks, baseline={"weighting_params": {}})).cells
    assert [cell.configuration for cell in cells[:3]] == [
        "defaults", "weights=[1, 0, 0]", "weights=tuned",
    ]  # fmt: skip
    assert [cell.tuned is not None for cell in cells] == [False, False, True] * 2


def test_values_go_where_their_keys_belong() -> None:
    spec = TrialSpec(dataset="d", seed=SEED, weighting="fixed", weighting_params={"scale": "sum1"})
    values = {"weights": [0.5, 0.25, 0.25], "learning_rate": 0.002, "batch_size": 16}
    made = with_values(spec, values)
    assert made.weighting_params == {"scale": "sum1", "weights": [0.5, 0.25, 0.25]}
    assert (made.learning_rate, made.batch_size, made.seed) == (0.002, 16, SEED)
    assert values_of(made, values) == values


def test_a_tuned_row_can_be_the_baseline(tmp_path: Path) -> None:
    study = tiny(tmp_path, grid=grid(WEIGHTS), baseline={"weighting": "fixed", "tuned": True})
    assert expand(study).baseline == "weights=tuned"
    study = tiny(tmp_path, grid=grid(WEIGHTS), baseline={"weighting": "fixed"})
    assert expand(study).baseline == "defaults"


def test_each_weighting_of_a_block_is_a_row_that_is_tuned(tmp_path: Path) -> None:
    rate = {"learning_rate": {"choice": [0.001, 0.01]}, "budget": {"trials": 2}}
    cells = expand(tiny(tmp_path, grid=[FIXED, {**FIXED, "weighting": ["fixed", "mad"], "tuned": rate}])).cells
    assert [cell.configuration for cell in cells if cell.spec.seed == 0] == [
        "fixed · 0.001", "fixed · tuned", "mad · tuned",
    ]  # fmt: skip


def test_rows_that_are_tuned_apart_are_no_twins(tmp_path: Path) -> None:
    """Under the paper's equations Bayesian weights are those of MAD, at one learning rate."""
    tuned = {"tuned": {"learning_rate": {"choice": [0.001, 0.01]}, "budget": {"trials": 2}}}
    both = [FIXED, {"weighting": ["mad", "bayesian"], "auxiliary": None}]
    count = {
        name: len(expand(tiny(tmp_path, grid=[both[0], {**both[1], **more}])).cells)
        for name, more in {"as they are": {}, "tuned": tuned}.items()
    }
    assert count == {"as they are": 4, "tuned": 6}


def test_the_word_on_is_a_key_as_it_is_written(tmp_path: Path) -> None:
    """YAML 1.1 reads it as true."""
    path = tmp_path / "one.yaml"
    path.write_text("on: validation\nfiltered: true\nother: off\n")
    assert read_yaml(path) == {"on": "validation", "filtered": True, "other": "off"}


@pytest.mark.parametrize(
    ("tuned", "told"),
    [
        (3, ["`grid.1.tuned`", "ranges and a `budget`", "3"]),
        ({"budget": {"trials": 4}}, ["`grid.1.tuned`", "at least one range", "Found none"]),
        ({"weights": "simplex"}, ["`grid.1.tuned.budget`", "missing"]),
        ({**WEIGHTS, "budget": {"trials": 1}}, ["`grid.1.tuned.budget.trials`", "greater than or equal to 2", "1"]),
        ({**WEIGHTS, "budget": {"trial": 4}}, ["`grid.1.tuned.budget.trial`", "Did you mean `trials`?"]),
        ({**WEIGHTS, "on": "test"}, ["`grid.1.tuned.on`", "'validation'", "'test'"]),
        ({**WEIGHTS, "method": "grid"}, ["`grid.1.tuned.method`", "'random' or 'optuna'", "'grid'"]),
        ({**WEIGHTS, "scheduler": "hyperband"}, ["`grid.1.tuned.scheduler`", "'asha'", "'hyperband'"]),
        ({**WEIGHTS, "learning_rate": "loguniform"}, ["`grid.1.tuned.learning_rate`", "[low, high]", "'loguniform'"]),
        ({**WEIGHTS, "learning_rate": {"loguniform": [0, 1]}}, ["`grid.1.tuned.learning_rate`", "above 0", "[0, 1]"]),
        ({**WEIGHTS, "learning_rate": {"uniform": [1, 0.1]}}, ["`grid.1.tuned.learning_rate`", "low < high"]),
        ({**WEIGHTS, "learning_rate": {"normal": [0, 1]}}, ["`grid.1.tuned.learning_rate.normal`", "loguniform"]),
        ({**WEIGHTS, "learning_rate": {"uniform": [-1, 1]}}, ["more than 0", "-1", "`grid.1.tuned`, tried"]),
        ({**WEIGHTS, "learning_rate": "simplex"}, ["`grid.1.tuned.learning_rate`", "one number"]),
        ({**WEIGHTS, "batch_size": {"uniform": [4, 16]}}, ["batch_size", "integer", "8.44"]),
        ({**WEIGHTS, "batch_size": {"choice": [4]}}, ["`grid.1.tuned.batch_size`", "two numbers or more", "[4]"]),
        ({**WEIGHTS, "tick": {"integer": [1.5, 4]}}, ["`grid.1.tuned.tick`", "whole numbers", "[1.5, 4]"]),
        ({**WEIGHTS, "seed": {"integer": [0, 9]}}, ["`grid.1.tuned.seed`", "cannot be tuned", "learning_rate"]),
        ({**WEIGHTS, "model": {"choice": [1, 2]}}, ["`grid.1.tuned.model`", "cannot be tuned"]),
        ({**WEIGHTS, "alpha": {"uniform": [0, 1]}}, ["alpha", "fixed", "tried with alpha"]),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said(tmp_path: Path, tuned: Any, told: list[str]) -> None:
    message = refusal(tmp_path, tuned)
    assert "tiny.yaml" in message
    for part in told:
        assert part in message, message


def test_a_value_is_tuned_or_given(tmp_path: Path) -> None:
    message = refusal(tmp_path, WEIGHTS, weighting_params={"weights": [1, 1, 1]})
    assert "`grid.1.tuned.weights`: the block gives it a value, too" in message


def test_only_a_block_of_the_grid_is_tuned(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key `trial\.tuned`"):
        expand(tiny(tmp_path, trial={"tuned": WEIGHTS}))
