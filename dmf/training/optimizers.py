"""What takes the step, and how large the step is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from dmf.training.spec import TrialSpec

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def build_optimizer(spec: TrialSpec, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    """The spec's optimiser, with torch's own settings but for learning rate and weight decay.

    Adam and AdamW run torch's fused kernels (`fused=True`), which on a CPU halve their time. They round in another
    order than the plain ones, so a step agrees with that of `torch.optim.Adam(...)` to a relative 1e-6 and not bit for
    bit; it repeats bit for bit. On a GPU all three are fused, and fit to be part of a CUDA graph.
    """
    gpu, adaptive = device.type == "cuda", spec.optimizer != "sgd"
    options = {"fused": gpu or adaptive, **({"capturable": True} if gpu and adaptive else {})}
    make = _OPTIMIZERS[spec.optimizer]
    return make(parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay, **options)


class LearningRate:
    """The learning rate of every step: `lr` ("constant") or `lr (1 - i / steps)^power` ("poly"), i counted from 0.

    On a GPU the rate of "poly" is a tensor, made anew by the step itself: nothing waits, and the step can be replayed
    as a CUDA graph. Which step comes next follows from the epoch, so nothing of this needs saving.

    Args:
        optimizer: Whose rate it is.
        spec: `schedule`, `schedule_power` and `learning_rate`.
        steps: Steps in the whole training.
        device: Where the network is.

    Source: "poly" is the schedule of the Adapt Exp paper (power 0.9).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, spec: TrialSpec, steps: int, device: torch.device) -> None:
        self._optimizer = optimizer
        self._first, self._steps = spec.learning_rate, steps
        self._power = spec.schedule_power if spec.schedule == "poly" else 0.0
        self._step = torch.zeros((), dtype=torch.float64, device=device)
        self._rate = torch.full((), spec.learning_rate, dtype=torch.float32, device=device)
        self._on_device = device.type == "cuda"

    @property
    def tensors(self) -> list[Tensor]:
        """What `advance` changes."""
        return [self._step, self._rate]

    @property
    def value(self) -> float:
        """That of the last step; waits for the device."""
        return float(self._optimizer.param_groups[0]["lr"])

    def seek(self, step: int) -> None:
        """Say which step comes next."""
        self._step.fill_(step)
        if self._power and self._on_device:
            self._set(self._rate)

    def advance(self) -> None:
        """Set the rate of the step that begins."""
        if not self._power:
            return
        rate = self._first * (1 - self._step / self._steps) ** self._power
        if self._on_device:
            self._rate.copy_(rate)
        else:
            self._set(float(rate))
        self._step.add_(1)

    def _set(self, rate: float | Tensor) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
