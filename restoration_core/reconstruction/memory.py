"""Keeping freed memory in the process, so that the next iteration does not have to ask the system for it again."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep large freed blocks instead of giving them back to the system.

    By default each large tensor gets new pages from the system, which the kernel clears when they are first touched. A
    reconstruction frees and allocates the same maps in each iteration, and on a CPU these page faults take a good part
    of its time (``benchmarks/iteration.py --default-allocator`` measures it). Meant for processes that reconstruct for
    long: the process keeps its peak memory until it ends.

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
