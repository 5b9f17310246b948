"""What a worker frees stays with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from pipelines.grid.memory import keep_freed_memory
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step(): return [torch.ones(size << 20, dtype=torch.uint8) for size in (40, 32, 64, 8, 40, 32)]
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3): step()
before = faults()
for _ in range(3): step()
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    """How many pages the system has to map in three steps that allocate and free the same tensors."""
    command = [sys.executable, "-c", SCRIPT, mode]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_tensors_that_come_and_go_are_mapped_once() -> None:
    left = page_faults("leave")
    assert left > 100_000, "the test would show nothing: this C library keeps memory by itself"
    assert page_faults("keep") < left / 4  # a block may still find its hole taken, and make another
