"""Which epoch's weights are kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

LAST = "last"


class ModelSelector:
    """Keeps the weights of the epoch that validates best, of equals the first; or of the last epoch.

    Args:
        metric: A validation metric, the larger the better, or "last".

    Attributes:
        epoch: Whose weights they are, counted from 0.
        score: What it scored; of "last", its number.
        weights: A copy of the network's `state_dict` after that epoch; empty before the first.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.epoch = 0
        self.score = -math.inf
        self.weights: dict[str, Tensor] = {}

    def observe(self, epoch: int, validation: Mapping[str, float], model: nn.Module) -> None:
        """Keep the model's weights if it scores higher than any before. A score of NaN never does."""
        score = epoch if self.metric == LAST else validation[self.metric]
        if score > self.score:
            self.score, self.epoch = float(score), epoch
            self.weights = copy.deepcopy(model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """What was kept so far."""
        return {"epoch": self.epoch, "score": self.score, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from `state_dict`, with a copy of the weights on a device."""
        self.weights = {name: value.to(device, copy=True) for name, value in state["weights"].items()}
        self.epoch, self.score = state["epoch"], state["score"]
