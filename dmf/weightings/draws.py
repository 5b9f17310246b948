"""Random numbers that are a function of (seed, step, index): they need no generator state, on any device."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MASK = 0xFFFFFFFF


def uniform(seed: Int[Tensor, ""], step: Int[Tensor, ""], index: Int[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Float64 in the open interval (0, 1); the same everywhere for the same arguments."""
    hashed = _mix(_mix(_mix(seed) + step) + index)
    return (hashed.double() + 0.5) / (_MASK + 1)


def normal(seed: Int[Tensor, ""], step: Int[Tensor, ""], index: Int[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Standard normal float64, by the inverse of the distribution function."""
    return math.sqrt(2) * torch.erfinv(2 * uniform(seed, step, index) - 1)


def new_seed(seed: int | None) -> Int[Tensor, ""]:
    """The given seed, or one drawn from torch's own generator."""
    return torch.randint(2**31, ()) if seed is None else torch.tensor(seed, dtype=torch.int64)


def _mix(value: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """A bijection of 32-bit integers that flips each bit of the answer with probability near 1/2 for each bit put in.

    Two rounds of xor-shift and multiplication; both factors are below 2^31, so no product leaves int64.
    """
    value = value & _MASK
    value = ((value ^ (value >> 16)) * 0x21F0AAAD) & _MASK
    value = ((value ^ (value >> 15)) * 0x735A2D97) & _MASK
    return value ^ (value >> 15)
