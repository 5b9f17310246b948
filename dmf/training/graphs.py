"""A training step as one CUDA graph: the host asks once for what it would else ask for some hundred times."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

Step = Callable[[Int[Tensor, " b"]], None]

TOLERANCE = 1e-5
"""How far a replay may be from the step itself, relative and absolute, before it is not trusted."""


class NoCudaGraph(UserWarning):
    """Steps are taken one kernel at a time; results are the same, a small network takes longer."""


class ReplayedStep:
    """Takes a step by replaying its CUDA graph.

    A batch size is first met in a step as it is, which lets optimiser and libraries allocate what they keep. The second
    time the step is captured, and the graph is trusted only after a replay has left all tensors as the step itself
    does. Where the device refuses the capture (a step that waits for it, such as a solver on the CPU) or the replay
    differs (a number from outside the graph that changes), steps go on as they are, with one warning.

    Whatever changes from step to step must lie in a tensor; numbers are part of the graph.

    Args:
        step: Takes row numbers (b,), changes tensors, returns nothing.
        tensors: Everything that a step changes or depends on, once it has been taken.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs, whole-network capture.
    """

    def __init__(self, step: Step, tensors: Callable[[], list[Tensor]]) -> None:
        self._step, self._tensors = step, tensors
        self._met: set[int] = set()
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Int[Tensor, " b"]]] = {}
        self._refused = False

    @property
    def captured(self) -> int:
        """Sizes of batch whose graph is trusted."""
        return len(self._graphs)

    def __call__(self, rows: Int[Tensor, " b"]) -> None:
        size = len(rows)
        if size in self._met and size not in self._graphs and not self._refused:
            self._capture(rows)
        self._met.add(size)
        if size in self._graphs:
            graph, static = self._graphs[size]
            static.copy_(rows)
            graph.replay()
        else:
            self._step(rows)

    def _capture(self, rows: Int[Tensor, " b"]) -> None:
        """Capture the step for batches of this size; leaves all tensors as they were."""
        before = [tensor.clone() for tensor in self._tensors()]
        static = rows.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.random.fork_rng([rows.device]):
                self._step(static)
            expected = self._swap(before)
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream(rows.device)):
                self._step(static)
            with torch.random.fork_rng([rows.device]):
                graph.replay()
        except RuntimeError as error:
            self._refuse(f"its capture failed: {error}")
            self._swap(before)
            return
        found = self._swap(before)
        if all(_alike(one, other) for one, other in zip(found, expected, strict=True)):
            self._graphs[len(rows)] = graph, static
        else:
            self._refuse("its replay differs from the step itself")

    def _swap(self, values: list[Tensor]) -> list[Tensor]:
        """Put values into the tensors; returns those that were there."""
        tensors = self._tensors()
        there = [tensor.clone() for tensor in tensors]
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)
        return there

    def _refuse(self, cause: str) -> None:
        self._refused = True
        warnings.warn(f"A training step goes on without CUDA graph: {cause}.", NoCudaGraph, stacklevel=4)


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one.double(), other.double(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
