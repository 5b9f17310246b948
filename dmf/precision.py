"""What stays precise when a model is made half: the state of losses, weightings and schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)


class Precise(nn.Module):
    """A module whose parameters and buffers follow to devices and to float32 or float64, never to half precision.

    A memory of losses, a count of steps or a learned weight in half precision loses in hundreds of steps what it is
    for: 256 + 1 is 256 in bfloat16. Arithmetic on half-precision logits is float32 anyway.

    >>> class Sum(Precise):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.register_buffer("value", torch.zeros(()))
    >>> Sum().half().value.dtype, Sum().double().value.dtype
    (torch.float32, torch.float64)
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def precisely(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return tensor.to(moved.device) if moved.dtype in HALF else moved

        applied: Any = super()._apply
        return applied(precisely, recurse)
