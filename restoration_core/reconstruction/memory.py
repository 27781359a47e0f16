"""Keeping freed memory in the process, so that the next iteration need not ask the system for it again."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep large freed blocks instead of giving them back to the system.

    By default every tensor above a threshold is mapped anew and its pages are cleared by the kernel on first touch. A
    reconstruction frees and allocates the same maps each iteration, and on a CPU the page faults cost a good part of
    its time (``benchmarks/iteration.py --default-allocator`` measures it). For processes that reconstruct for long; the
    process keeps its peak memory until it ends.

    Returns:
        Whether it took effect: False without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST))
