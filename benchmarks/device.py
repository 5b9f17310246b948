"""The machine that a benchmark runs on: how to wait for it, and what to say of it."""

from __future__ import annotations

import os
from typing import Any

import torch


def wait_for_device() -> None:
    """Until a GPU has done what it was asked for; without one there is nothing to wait for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def describe_machine(device: str) -> dict[str, Any]:
    """Name of the device ("cuda" or "cpu"), torch's version, and how many processes want the machine."""
    name = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {"device": name, "torch": torch.__version__, "load": round(os.getloadavg()[0], 1)}
