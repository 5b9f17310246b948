"""The rivals of packing compute the same thing; what is measured against what is then a matter of time alone."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness.trials import CONFIGURATIONS, Size, draw, specs
from benchmarks.stacked import StackedTrials
from dmf.training.trial import Trial
from tests.support.toy import toy_data, toy_spec

TOLERANCE = 1e-5
"""Of float32, over nine steps: a grouped convolution adds up in another order."""


def test_stacked_trials_train_as_they_would_alone() -> None:
    data = toy_data()
    wanted = [
        toy_spec(),
        toy_spec(seed=1, weighting="mad", auxiliary="tversky"),
        toy_spec(weighting="fixed", weighting_params={}, auxiliary=None),
    ]
    stacked, alone = StackedTrials(wanted, data), [Trial(spec, data) for spec in wanted]
    for _ in range(3):
        for together, trial in zip(stacked.epoch(), [trial.epoch() for trial in alone], strict=True):
            for column, values in trial.steps.items():
                np.testing.assert_allclose(together.steps[column], values, rtol=TOLERANCE, atol=TOLERANCE)
            assert together.validation == trial.validation
    for one, other in zip(stacked.trials, alone, strict=True):
        torch.testing.assert_close(
            one.model.state_dict(), other.model.state_dict(), rtol=TOLERANCE, atol=TOLERANCE
        )  # running statistics of batch norm too
        assert (one.selector.epoch, one.epochs_done) == (other.selector.epoch, 3)


def test_the_grid_is_the_papers() -> None:
    assert len(CONFIGURATIONS) == 13
    grid = specs(26, Size())
    assert [spec.seed for spec in grid] == [0] * 13 + [1] * 13
    assert len({(spec.weighting, spec.auxiliary) for spec in grid[:13]}) == 13
    assert {name: len(rows) for name, rows in draw(20, 16).rows.items()} == {"train": 14, "val": 3, "test": 3}
