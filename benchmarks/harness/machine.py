"""What a benchmark says of the machine that it ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.measure import DEVICE


def machine() -> dict[str, Any]:
    """Names of device and processor, instruction set, cores and threads, versions, and the load.

    `load` is how many processes wanted a processor in the last minute, the benchmark's own among them; a figure is
    worth as much as this is small.
    """
    cpu = _processor()
    return {
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else cpu,
        "cpu": cpu,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
    }


def peak_memory(*, reset: bool = False) -> float:
    """Most memory that this process held, since the last reset, in MiB, as Linux counts it.

    getrusage would count that of the process which started this one too.
    """
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) / 1024


def _processor() -> str:
    """As Linux calls it; elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
