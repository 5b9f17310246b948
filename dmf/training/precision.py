"""In which precision the network of a trial works, by what was asked for and by what the device computes itself."""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor, nn

SECONDS = 0.5
"""What the measurement of a device may take, about."""


def used_precision(asked: str, device: str | torch.device) -> str:
    """What a spec's `precision` comes to on a device: "bf16" or "fp32".

    "auto" is bf16 where the device computes it itself, else fp32: on a GPU from compute capability 8.0, on a CPU with
    AMX or with AVX-512 and its bf16 instructions. An x86 CPU without AVX-512 has none. A GPU below 8.0 has float16
    alone, whose small range would need gradients to be scaled: fp32. Of any other device (Arm, Apple, AVX-512 without
    bf16) it is not known, but measured, once a process: bf16 if it is at least a tenth quicker.
    """
    if asked != "auto":
        return asked
    device = torch.device(device)
    known = computes_bf16(device)
    return "bf16" if known or (known is None and bf16_speed(device.type) >= 1.1) else "fp32"


def computes_bf16(device: str | torch.device) -> bool | None:
    """Whether a device has instructions for bf16, as it says itself; None where it does not say."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    flags = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    if flags.get("architecture") != "x86_64":
        return None
    onednn = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # it knows ONEDNN_MAX_CPU_ISA
    if onednn is not None and not onednn():
        return False
    return True if flags.get("avx512_bf16") or flags.get("amx_bf16") else None


@cache
def bf16_speed(device: str) -> float:
    """How many times as fast as in fp32 a small convolutional network trains in bf16: below 1, it is slower.

    Both precisions take turns for half a second, and the quickest turn of each counts.
    """
    with torch.random.fork_rng():
        network = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
        network.to(device).to(memory_format=torch.channels_last)
        images = torch.rand(4, 16, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
    seconds = {False: [_step(network, images, half=False)], True: [_step(network, images, half=True)]}
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        for half, taken in seconds.items():
            taken.append(_step(network, images, half=half))
    return min(seconds[False]) / min(seconds[True])


def _step(network: nn.Module, images: Tensor, *, half: bool) -> float:
    """Seconds of a forward and backward pass, and of waiting for the device."""
    begun = time.perf_counter()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        answer = network(images)
    answer.float().square().mean().backward()
    float(next(network.parameters()).detach().sum())
    return time.perf_counter() - begun
