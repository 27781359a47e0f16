"""Why a trial failed: in words, and whether the trial or the machine is to blame."""

from __future__ import annotations

import errno

import torch

from restoration_core.errors import in_one_line
from restoration_core.reconstruction import Status

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}
_SAID_BY_TORCH = ("can't allocate memory", "not enough memory", "out of memory", "cuda error", "cublas_status_alloc")


def describe(error: BaseException) -> str:
    """Return an error as one line: its type, and what it says."""
    text = in_one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_of_the_machine(error: BaseException) -> bool:
    """Return whether another machine, or this one at another time, would not have failed: memory, disk, a broken GPU.

    PyTorch's allocator on CPUs, and older versions everywhere, raise a plain RuntimeError.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError | torch.AcceleratorError):
        return True
    if isinstance(error, OSError):
        return error.errno in _OF_THE_MACHINE
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID_BY_TORCH)


def not_finite(metric: str, value: float) -> str:
    """Return the reason of a trial whose metric is no finite number."""
    return f"the metric {metric!r} is {value}"


def diverged(image: str) -> str:
    """Return the reason of a trial whose objective became NaN or infinite."""
    return f"{image}: {Status.NON_FINITE.value}"


def is_result(reason: str) -> bool:
    """Return whether a failure is what these parameters give anywhere: numbers that are not finite.

    A search may have such trials; any other failure is something that went wrong.
    """
    if reason.endswith(Status.NON_FINITE.value):
        return True
    metric, _, value = reason.rpartition(" is ")
    return metric.startswith("the metric ") and value in ("nan", "inf", "-inf")
