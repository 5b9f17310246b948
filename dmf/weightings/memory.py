"""The memory: the last values of each loss, in a ring of fixed size on the device."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class RingBuffer(nn.Module):
    """The last `capacity` values of N losses: the histories H_i of the DMF paper, section 4.1.

    A slot that holds no value yet is NaN, and so is one whose loss was NaN or infinite: such values are not
    remembered, and a statistic runs over the finite slots alone. Every step writes one column and costs the same.

    Attributes:
        values: Float64 (N, capacity), in no particular order once the ring has come round.
        step: Int64 (), the number of steps seen.
    """

    values: Float[Tensor, "N capacity"]
    step: Int[Tensor, ""]
    slots: Int[Tensor, " capacity"]

    def __init__(self, num_losses: int, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("values", torch.full((num_losses, capacity), torch.nan, dtype=torch.float64))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("slots", torch.arange(capacity), persistent=False)

    def append(self, losses: Float[Tensor, " N"]) -> Float[Tensor, "N capacity"]:
        """Put one value of each loss in place of the oldest; returns the histories.

        The answer is differentiable in `losses` where these require a gradient; what is kept never is.
        """
        current = losses.nan_to_num(torch.nan, torch.nan, torch.nan)
        history = torch.where(self.slots == self.step % self.capacity, current[:, None], self.values)
        self.values.copy_(history.detach())
        self.step.add_(1)
        return history

    def extra_repr(self) -> str:
        return f"capacity={self.capacity}"
