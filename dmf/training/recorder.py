"""The per-step history of a trial, kept on the device and read once an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from dmf.fusion import FusionOutput


class StepColumns:
    """What the columns of a per-step history are called, here and wherever it is kept: one for each recorded value.

    `total`, `gamma` and `auxiliary` are those of `FusionOutput`; each base loss has its value and its weight.
    """

    total = "total"
    gamma = "gamma"
    auxiliary = "auxiliary"

    @staticmethod
    def loss(name: str) -> str:
        """The column of a base loss, by its name in `DynamicMemoryFusion.loss_names`."""
        return f"loss/{name}"

    @staticmethod
    def weight(name: str) -> str:
        """The column of a base loss's effective weight."""
        return f"weight/{name}"

    @classmethod
    def of(cls, loss_names: Sequence[str]) -> tuple[str, ...]:
        """All columns, in the order in which a step is recorded."""
        return cls.total, cls.gamma, cls.auxiliary, *map(cls.loss, loss_names), *map(cls.weight, loss_names)

    @classmethod
    def loss_names(cls, columns: Iterable[str]) -> tuple[str, ...]:
        """The base losses of a history, from its columns and in their order."""
        before = cls.loss("")
        return tuple(column.removeprefix(before) for column in columns if column.startswith(before))


class StepRecorder:
    """Rows of `StepColumns`, one a step, in a preallocated device buffer.

    Recording moves a few bytes within the device and never waits for it; `drain` copies an epoch to the host at once.
    """

    def __init__(self, loss_names: Sequence[str], steps: int, device: torch.device) -> None:
        self.columns = StepColumns.of(loss_names)
        self._rows = torch.zeros(steps, len(self.columns), device=device)
        self._cursor = torch.zeros(1, dtype=torch.int64, device=device)

    @property
    def tensors(self) -> list[Tensor]:
        """What recording changes."""
        return [self._rows, self._cursor]

    @torch.no_grad()
    def record(self, out: FusionOutput) -> None:
        """Append one step."""
        row = torch.cat([torch.stack([out.total, out.gamma, out.auxiliary]), out.losses, out.weights])
        self._rows.index_copy_(0, self._cursor, row[None].to(self._rows.dtype))
        self._cursor.add_(1)

    def drain(self) -> dict[str, np.ndarray]:
        """The steps recorded since the last call, by column, float32 of length n; empties the buffer."""
        rows = self._rows[: int(self._cursor)].cpu().numpy().copy()
        self._cursor.zero_()
        return {name: rows[:, column] for column, name in enumerate(self.columns)}
