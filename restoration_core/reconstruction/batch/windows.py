"""Jitter windows: the network sees each row of a canvas through a window at that row's own offset."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Offset = tuple[int, int]

CACHED_VALUES = 2**18
"""How many values of a picture tensor stay in a processor's cache while several operations pass over them."""


def cached_chunks(x: Tensor) -> list[slice]:
    """Return slices of rows small enough to stay in a CPU's cache; all rows at once on other devices."""
    rows = len(x)
    size = max(1, CACHED_VALUES // max(1, x[0].numel())) if x.device.type == "cpu" else rows
    return [slice(low, min(low + size, rows)) for low in range(0, rows, size)]


def read_windows(canvas: Tensor, offsets: Sequence[Offset], out: Tensor) -> Tensor:
    """Copy row b's window with its top left corner at ``offsets[b]`` into ``out[b]``.

    Args:
        canvas: ``(B, C, H', W')``, contiguous.
        offsets: B pairs (top, left) on the host.
        out: ``(B, C, H, W)``, changed.

    Returns:
        ``out``.
    """
    height, width = out.shape[-2:]
    if canvas.shape == out.shape:
        return out.copy_(canvas)
    if canvas.device.type != "cpu":
        return gather_windows(canvas, offsets, out)
    for row, (top, left) in enumerate(offsets):  # row copies run at memory speed, an indexed gather does not
        out[row].copy_(canvas[row, :, top : top + height, left : left + width])
    return out


def write_windows(gradient: Tensor, offsets: Sequence[Offset], canvas: Tensor) -> Tensor:
    """Set row b's window of ``canvas`` to ``gradient[b]`` and the rest to zero: the adjoint of reading.

    Args:
        gradient: ``(B, C, H, W)``.
        offsets: B pairs (top, left) on the host.
        canvas: ``(B, C, H', W')``, contiguous, overwritten.

    Returns:
        ``canvas``.
    """
    height, width = gradient.shape[-2:]
    if canvas.shape == gradient.shape:
        return canvas.copy_(gradient)
    if canvas.device.type != "cpu":
        return scatter_windows(gradient, offsets, canvas)
    canvas.zero_()
    for row, (top, left) in enumerate(offsets):
        canvas[row, :, top : top + height, left : left + width].copy_(gradient[row])
    return canvas


def gather_windows(canvas: Tensor, offsets: Sequence[Offset], out: Tensor) -> Tensor:
    """Do what :func:`read_windows` does in one indexed operation, for devices where each copy costs a launch."""
    return out.copy_(_all_windows(canvas, *out.shape[-2:])[_index(offsets, canvas.device)])


def scatter_windows(gradient: Tensor, offsets: Sequence[Offset], canvas: Tensor) -> Tensor:
    """Do what :func:`write_windows` does in one indexed operation."""
    windows = _all_windows(canvas.zero_(), *gradient.shape[-2:])
    # The windows of a row overlap in memory, but only one of them is written to.
    windows.index_put_(_index(offsets, canvas.device), gradient)
    return canvas


def _all_windows(canvas: Tensor, height: int, width: int) -> Tensor:
    """Return the view ``(B, tops, lefts, C, height, width)`` of every window of every row."""
    batch, channels, full_height, full_width = canvas.shape
    row, channel, down, right = canvas.stride()
    tops, lefts = full_height - height + 1, full_width - width + 1
    return canvas.as_strided((batch, tops, lefts, channels, height, width), (row, down, right, channel, down, right))


def _index(offsets: Sequence[Offset], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    host = torch.tensor([(row, top, left) for row, (top, left) in enumerate(offsets)])
    if device.type == "cuda":  # pinned memory lets the copy run without waiting for the device
        host = host.pin_memory()
    rows, tops, lefts = host.to(device, non_blocking=True).unbind(1)
    return rows, tops, lefts
