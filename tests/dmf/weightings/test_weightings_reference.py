"""Fidelity "reference" is the authors' notebook: its own numbers are the oracle."""

from __future__ import annotations

import pytest
import torch

from dmf.weightings import build_weighting
from tests.support.oracle import notebook

NAMES = {"var": "variance", "mad": "mad", "bayes": "bayesian"}
CASES = range(12)


@pytest.mark.parametrize("case", CASES)
def test_weights_and_total_are_those_of_the_notebook(case: int) -> None:
    cases = notebook()["weights"]
    assert len(cases) == len(CASES)
    oracle = cases[case]
    losses = torch.tensor(oracle["losses"], dtype=torch.float32)
    sizes = {name: oracle[name] for name in ("history_size", "history_size_max")}
    weighting = build_weighting(NAMES[oracle["method"]], losses.shape[1], "reference", **sizes)
    for step, values in enumerate(losses):
        weights = weighting(values)
        if step in oracle["steps"]:
            row = oracle["steps"].index(step)
            torch.testing.assert_close(weights, torch.tensor(oracle["weights"][row]), rtol=0, atol=1e-5)
            total = (weights * values).sum().item()
            assert total == pytest.approx(oracle["total"][row], rel=1e-5, abs=1e-5)
