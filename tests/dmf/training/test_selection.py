"""Which epoch's weights are tested."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dmf.training.selection import ModelSelector


def observe(metric: str, scores: list[float]) -> tuple[ModelSelector, float]:
    """A selector that saw these scores, after each epoch of a network whose weight is the epoch's number."""
    selector, model = ModelSelector(metric), nn.Linear(1, 1)
    for epoch, score in enumerate(scores):
        nn.init.constant_(model.weight, epoch)
        selector.observe(epoch, {"dice": score}, model)
    nn.init.constant_(model.weight, -1)
    return selector, selector.weights["weight"].item()


@pytest.mark.parametrize(
    ("metric", "scores", "best"),
    [
        ("dice", [0.1, 0.7, 0.3], 1),
        ("dice", [0.2, 0.7, 0.7], 1),
        ("dice", [0.2, math.nan, 0.1], 0),
        ("last", [0.9, 0.1, 0.2], 2),
    ],
)
def test_the_first_of_the_best_is_kept_as_it_was(metric: str, scores: list[float], best: int) -> None:
    selector, weight = observe(metric, scores)
    assert (selector.epoch, weight) == (best, best)


def test_it_goes_on_from_its_state() -> None:
    first, _ = observe("dice", [0.1, 0.7])
    second = ModelSelector("dice")
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    second.observe(2, {"dice": 0.6}, nn.Linear(1, 1))
    assert (second.epoch, second.score, second.weights["weight"].item()) == (1, 0.7, 1)
    second.observe(3, {"dice": 0.8}, nn.Linear(1, 1))
    assert (second.epoch, first.epoch) == (3, 1)
