"""A trial's state on disk: written whole or not at all, and told from anything else when it is read."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

DIGEST = hashlib.sha256().digest_size


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write `Trial.state_dict()` and its SHA-256 to a file; an older one is replaced once the new one is complete."""
    content = io.BytesIO()
    torch.save(state, content)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.write(hashlib.sha256(content.getbuffer()).digest())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU; only tensors and plain values are read, never code.

    Raises:
        ValueError: if the file is damaged or something else.
        FileNotFoundError: if there is none.
    """
    written = memoryview(path.read_bytes())
    content, digest = written[:-DIGEST], written[-DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(
            f"{path} must end with the SHA-256 of what precedes. Found {len(written)} bytes that do not: it is "
            "damaged, or no checkpoint of a trial. Delete it, and the trial starts again."
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def require_same_trial(state: object, expected: Mapping[str, Any]) -> None:
    """Raise a ValueError unless `state` has the entries and the spec of `expected`, the state of a trial."""
    if not isinstance(state, Mapping) or state.keys() != expected.keys():
        found = ", ".join(map(str, state)) or "nothing" if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"A checkpoint must hold {', '.join(expected)}. Found {found}.")
    found_spec, spec = state["spec"], expected["spec"]
    if differing := [name for name in spec if found_spec.get(name) != spec[name]]:
        found = ", ".join(f"{name}={found_spec.get(name)!r}" for name in differing)
        raise ValueError(f"The checkpoint must be of this trial's spec. Found {found}.")
