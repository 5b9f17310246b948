"""The benchmark of a step takes the step that a trial takes, and the part of it that it says."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.graphs import WAYS, WEIGHTINGS, Rival
from benchmarks.harness.trials import Size
from dmf.training.trial import Trial

SIZE = Size(images=20, image_size=16, base_filters=4, batch_size=4, precision="fp32")


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_rival_takes_the_steps_of_a_trial(weighting: str) -> None:
    data = SIZE.data()
    rival = Rival(weighting, WAYS["cpu"][0], data, SIZE)
    spec = rival.trial.spec
    assert (spec.weighting, spec.auxiliary) == (weighting, "cb_dice")
    rival.step()
    rival.part()
    assert math.isfinite(rival.until_it_runs)
    assert rival.graphs == 0, "there are none on a CPU"
    trial = Trial(spec, data)
    trial.model.train()
    images, target, _ = trial.loader.batch(rival.rows)
    assert torch.equal(rival.logits, trial.training_step.logits(images / 255))
    assert torch.equal(rival.target, target.long())
