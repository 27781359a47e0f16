"""Jitter windows: each row of a canvas is seen through a window at its own offset."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Offset = tuple[int, int]

_CACHED_VALUES = 2**18
"""Values of a picture tensor that stay in a processor's cache over several passes."""


def cached_chunks(x: Tensor) -> list[slice]:
    """Return slices of rows small enough to stay in a CPU's cache; all rows at once on other devices."""
    rows = len(x)
    size = max(1, _CACHED_VALUES // max(1, x[0].numel())) if x.device.type == "cpu" else rows
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
    if canvas.device.type == "cpu":  # row copies run at memory speed; an indexed gather does not
        for row, (top, left) in enumerate(offsets):
            out[row].copy_(canvas[row, :, top : top + height, left : left + width])
        return out
    return out.copy_(_all_windows(canvas, height, width)[_index(offsets, canvas.device)])


def write_windows(gradient: Tensor, offsets: Sequence[Offset], canvas: Tensor) -> Tensor:
    """Fill ``canvas`` with zeros but for row b's window, which becomes ``gradient[b]``: the adjoint of reading."""
    height, width = gradient.shape[-2:]
    if canvas.shape == gradient.shape:
        return canvas.copy_(gradient)
    canvas.zero_()
    if canvas.device.type == "cpu":
        for row, (top, left) in enumerate(offsets):
            canvas[row, :, top : top + height, left : left + width].copy_(gradient[row])
        return canvas
    # The windows overlap in memory, but each row writes one of its own only.
    _all_windows(canvas, height, width).index_put_(_index(offsets, canvas.device), gradient)
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
