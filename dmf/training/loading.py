"""How batches reach the training device: from the device itself, or streamed to it while it works."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from dmf.training.data import TrialData

RESIDENT_BYTES = 2 << 30
"""Data sets of at most 2 GiB lie on the device: 10,900 RGB images with masks at 256 pixels."""


class Batch(NamedTuple):
    """Some images of a data set on the training device.

    Attributes:
        images: UInt8 (b, C, *spatial).
        targets: UInt8 (b, *spatial) or (b,).
        rows: Int64 (b,), their numbers in the data set.
    """

    images: UInt8[Tensor, "b C *spatial"]
    targets: UInt8[Tensor, " b *spatial"]
    rows: Int[Tensor, " b"]


class Loader(Protocol):
    """Where a trial gets its batches from; both kinds give the same ones, bit for bit."""

    @property
    def data(self) -> TrialData:
        """The data set: the tensors of a resident one, as it was given if it is streamed."""

    def prefetch(self, order: Sequence[Int[Tensor, " b"]]) -> None:
        """Say which batches will be asked for next, one after the other."""

    def batch(self, rows: Int[Tensor, " b"]) -> Batch:
        """The images of `rows`."""


def build_loader(data: TrialData, device: torch.device) -> Loader:
    """Batches of a data set: resident if it lies on the device already or needs at most `RESIDENT_BYTES`."""
    there = isinstance(data.images, Tensor) and data.images.device == device
    return (Resident if there or resident_bytes(data) <= RESIDENT_BYTES else Streamed)(data, device)


def resident_bytes(data: TrialData) -> int:
    """What images and targets take."""
    return math.prod(data.images.shape) + math.prod(data.targets.shape)


class Resident:
    """The whole data set on the device; a batch is gathered there."""

    def __init__(self, data: TrialData, device: torch.device) -> None:
        self.data = data.to(device)

    def prefetch(self, order: Sequence[Int[Tensor, " b"]]) -> None:
        """Nothing: all of it is there."""

    def batch(self, rows: Int[Tensor, " b"]) -> Batch:
        """The images of `rows`."""
        return Batch(*self.data.read(rows), rows)


class Streamed:
    """Batches that one thread reads and, for a GPU, pins in memory, one ahead of the one that is asked for.

    Row numbers stay on the host; a batch that was not announced is read at once.
    """

    def __init__(self, data: TrialData, device: torch.device) -> None:
        self.data = data
        self._device = device
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: deque[Int[Tensor, " b"]] = deque()
        self._next: tuple[Int[Tensor, " b"], Future[Batch]] | None = None

    def prefetch(self, order: Sequence[Int[Tensor, " b"]]) -> None:
        """Say which batches will be asked for next; the first is read from now on."""
        self._coming = deque(order)
        self._read_ahead()

    def batch(self, rows: Int[Tensor, " b"]) -> Batch:
        """The batch that was read ahead, if it is of these very `rows`; the next one is read while it is used."""
        if self._next is not None and self._next[0] is rows:
            batch = self._next[1].result()
            self._read_ahead()
        else:
            batch = self._read(rows)
        return Batch(*(tensor.to(self._device, non_blocking=True) for tensor in batch))

    def _read_ahead(self) -> None:
        self._next = None
        if self._coming:
            rows = self._coming.popleft()
            self._next = rows, self._reader.submit(self._read, rows)

    def _read(self, rows: Int[Tensor, " b"]) -> Batch:
        batch = Batch(*self.data.read(rows), rows)
        return Batch(*(tensor.pin_memory() for tensor in batch)) if self._device.type == "cuda" else batch
