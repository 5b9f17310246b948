"""Memory that a worker frees and needs again a moment later."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # as glibc's <malloc.h> numbers them


def keep_freed_memory() -> None:
    """Let this process keep what it frees, up to its peak. Does nothing where the C library is not glibc.

    glibc gets a block of 32 MiB and more from the system, and gives it back when it is freed. A training step frees and
    allocates such tensors over and over, and each time the system has to map and clear every page of them: a fifth of
    the step of the DMF paper's U-Net on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 64 << 20)
