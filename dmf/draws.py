"""Random numbers that are a function of (seed, step, index): they need no generator state, on any device."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor


def uniform(seed: Int[Tensor, ""], step: Int[Tensor, ""], index: Int[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Float64 in the open interval (0, 1); the same everywhere for the same arguments."""
    hashed = _mix(_mix(_mix(seed) + step) + index).long() & 0xFFFFFFFF
    return (hashed.double() + 0.5) / (1 << 32)


def normal(seed: Int[Tensor, ""], step: Int[Tensor, ""], index: Int[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Standard normal float64, by the inverse of the distribution function."""
    return math.sqrt(2) * torch.erfinv(2 * uniform(seed, step, index) - 1)


def noise(seed: Int[Tensor, ""], step: Int[Tensor, " b"], size: int) -> Float[Tensor, "b {size}"]:
    """Standard normal float32, `size` numbers for each step: quick enough for pictures, the same on every device.

    Every hash of 32 bits picks two of 65,536 quantiles.
    """
    pairs = _pairs(-(-size // 2), step.device)
    hashed = _mix(_mix(_mix(seed) + step)[:, None] ^ pairs)
    entries = hashed.view(torch.uint16).int()[:, :size]
    return _normal_quantiles(step.device).index_select(0, entries.flatten()).view(entries.shape)


@lru_cache
def _pairs(count: int, device: torch.device) -> Int32[Tensor, " {count}"]:
    return _mix(torch.arange(count)).to(device)


@lru_cache
def _normal_quantiles(device: torch.device) -> Float[Tensor, " 65536"]:
    """The standard normal's quantiles at (i + 1/2) / 65536, which reach from -4.3 to 4.3."""
    levels = (torch.arange(1 << 16, dtype=torch.float64) + 0.5) / (1 << 16)
    return (math.sqrt(2) * torch.erfinv(2 * levels - 1)).float().to(device)


def new_seed(seed: int | None) -> Int[Tensor, ""]:
    """The given seed, or one drawn from torch's own generator."""
    return torch.randint(2**31, ()) if seed is None else torch.tensor(seed, dtype=torch.int64)


def _mix(value: Int[Tensor, "*n"]) -> Int32[Tensor, "*n"]:
    """A bijection of 32-bit integers that flips each bit of the answer with probability near 1/2 for each bit put in.

    Two rounds of xor-shift and multiplication modulo 2^32, to which int32 wraps; of int64 the lower half counts. Both
    factors are below 2^31. In int64, with a mask after each product, the same takes four times as long.
    """
    value = value.int()
    value = _shifted(value, 16).bitwise_xor_(value).mul_(0x21F0AAAD)
    value = _shifted(value, 15).bitwise_xor_(value).mul_(0x735A2D97)
    return _shifted(value, 15).bitwise_xor_(value)


def _shifted(value: Int32[Tensor, "*n"], bits: int) -> Int32[Tensor, "*n"]:
    """To the right, with zeros from the left: `>>` repeats the sign."""
    return (value >> bits).bitwise_and_((1 << (32 - bits)) - 1)
