"""Loops over arrays in memory, compiled where numba is installed (`pip install 'dynamic-memory-fusion[fast]'`).

Whoever has a kernel also has torch's operations for the same result: on other devices, in other types, without numba,
under `torch.compile` and under function transforms. `usable` says which it is. Import a module of kernels where it is
used, inside of the function: to import numba takes a third of a second.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings

import torch
from torch import Tensor
from torch.autograd import forward_ad

from dmf.kernels.threads import shares, spread

__all__ = ["installed", "shares", "spread", "transformed", "usable"]

_PLAIN = torch._C._dispatch_keys(torch.empty(0, device="cpu"))  # noqa: SLF001
"""What torch says of a tensor in a processor's memory that nothing stands behind: no transform, no subclass."""


@functools.cache
def installed() -> bool:
    """Whether numba is there and can be imported beside this numpy; warns if it is there and cannot."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        importlib.import_module("numba")
    except Exception as error:
        warnings.warn(f"numba cannot be imported, so torch's own operations are used: {error}", stacklevel=2)
        return False
    return True


def transformed() -> bool:
    """Whether more than values is asked for, or other than backward: by a function transform, forward mode, a trace."""
    return (
        torch._C._are_functorch_transforms_active()  # noqa: SLF001
        or forward_ad._current_level >= 0  # noqa: SLF001
        or torch._C._get_tracing_state() is not None  # noqa: SLF001
    )


def usable(*tensors: Tensor) -> bool:
    """Whether a kernel may look at the memory of these tensors: plain ones of a processor, outside of any transform."""
    return (
        not torch.compiler.is_compiling()
        and not transformed()
        and all(_PLAIN | torch._C._dispatch_keys(tensor) == _PLAIN for tensor in tensors)  # noqa: SLF001
        and torch._C._len_torch_dispatch_stack() == 0  # noqa: SLF001
        and installed()
    )
