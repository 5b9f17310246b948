"""Seeds that pair runs: what a trial draws depends on (seed, data set, model), never on loss or weighting."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic as memory

from dmf.training.spec import TrialSpec


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from JSON values. Different parts give unrelated seeds; the same parts always the same one."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def trial_seed(spec: TrialSpec, purpose: str) -> int:
    """The seed of one purpose ("weights", "order", ...) in a trial, equal for all losses and weightings."""
    return derive_seed(purpose, spec.seed, spec.dataset, spec.model, dict(spec.model_params))


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Deterministic kernels and a seeded global generator inside; the caller's settings and generator after.

    New memory is left as it is found: torch would else write NaN into each new tensor before a kernel fills it, and the
    kernels that we use read nothing that they have not written. On a GPU, where some operations (backward of 3D
    max-pooling) have no deterministic kernel, torch warns of them and goes on.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it every matrix product on a GPU raises
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    fill = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
        torch.backends.cudnn.benchmark = False
        memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
            torch.backends.cudnn.benchmark = benchmark
            memory.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
