"""Several micro-batches that make one optimiser step, and so one step of memory."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmf.checks import require_at_least
from dmf.precision import Precise


class Accumulation(Precise):
    """The mean of the losses over the micro-batches of a step, so far.

    Args:
        num_losses: N.
        steps: Micro-batches of an optimiser step.

    >>> accumulation = Accumulation(1, 2)
    >>> [(mean.item(), last) for mean, last in map(accumulation, torch.tensor([[1.0], [3.0], [5.0]]))]
    [(1.0, False), (2.0, True), (5.0, False)]
    """

    sums: Float[Tensor, " N"]
    count: Int[Tensor, ""]

    def __init__(self, num_losses: int, steps: int) -> None:
        super().__init__()
        require_at_least(1, accumulation_steps=steps)
        self.steps = steps
        self.register_buffer("sums", torch.zeros(num_losses, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._done = 0  # as `count`, for which a device would have to be waited for
        self.register_load_state_dict_post_hook(_recall)  # type: ignore[no-untyped-call]

    def forward(self, losses: Float[Tensor, " N"]) -> tuple[Float[Tensor, " N"], bool]:
        """Their mean with those before in this step, and whether these are the step's last.

        The gradient is that of the losses given: those before have had theirs.
        """
        self._done += 1
        last = self._done == self.steps
        self.sums.add_(losses.detach())
        mean = (self.sums / self._done).to(losses.dtype)
        if last:
            self.sums.zero_()
            self._done = 0
        self.count.fill_(self._done)
        return losses + (mean - losses).detach(), last

    def extra_repr(self) -> str:
        return f"steps={self.steps}"


def _recall(accumulation: Any, incompatible: object) -> None:
    accumulation._done = int(accumulation.count)  # noqa: SLF001
