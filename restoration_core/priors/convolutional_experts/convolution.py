"""The linear parts of a convolutional field with their adjoints: padding, pooling, convolution."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BOUNDARIES = ("reflect", "valid")


def margins(size: int, boundary: str) -> tuple[int, int]:
    """Return how many pixels are added before and behind each axis: so many that a filter is centred on every pixel."""
    return ((size - 1) // 2, size // 2) if boundary == "reflect" else (0, 0)


def pad_reflect(x: Tensor, before: int, behind: int) -> Tensor:
    """Return ``x``, ``(B, C, H, W)``, with so many mirrored pixels around it (the edge itself is not repeated)."""
    return F.pad(x, (before, behind, before, behind), mode="reflect") if before + behind else x


def pad_reflect_adjoint(x: Tensor, before: int, behind: int) -> Tensor:
    """Return the adjoint of :func:`pad_reflect`: margins are added to the pixels that they were mirrored from."""
    for axis in (2, 3) if before + behind else ():
        length = x.shape[axis] - before - behind
        inner = x.narrow(axis, before, length).clone()
        if before:
            inner.narrow(axis, 1, before).add_(x.narrow(axis, 0, before).flip(axis))
        if behind:
            inner.narrow(axis, length - 1 - behind, behind).add_(x.narrow(axis, before + length, behind).flip(axis))
        x = inner
    return x


def pool(x: Tensor, factor: int) -> Tensor:
    """Return means over blocks of ``factor x factor`` pixels; a block at the far edge may hold fewer pixels.

    ``(B, C, H, W)`` becomes ``(B, C, ceil(H / factor), ceil(W / factor))``.
    """
    return F.avg_pool2d(x, factor, ceil_mode=True, count_include_pad=False) if factor > 1 else x


def pool_adjoint(x: Tensor, factor: int, height: int, width: int) -> Tensor:
    """Return the adjoint of :func:`pool`, ``(B, C, height, width)``: each value is divided among its block."""
    if factor == 1:
        return x
    down, across = (_block_lengths(length, factor, x) for length in (height, width))
    shared = x / (down[:, None] * across)
    spread = shared.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    return spread[:, :, :height, :width]


def _block_lengths(length: int, factor: int, like: Tensor) -> Tensor:
    starts = torch.arange(0, length, factor, device=like.device)
    return (length - starts).clamp(max=factor).to(like.dtype)


def row_kernels(filters: Tensor) -> Tensor:
    """Return filters ``(K, C, f, f)`` as the kernels ``(C f, K, 1, f)`` that :func:`back_project` convolves with."""
    count, channels, size, _ = filters.shape
    kernels = filters.flip(3).permute(1, 2, 0, 3).reshape(channels * size, count, 1, size)
    return kernels.contiguous(memory_format=torch.channels_last)


def back_project(responses: Tensor, kernels: Tensor) -> Tensor:
    """Return ``conv_transpose2d(responses, filters)`` for ``kernels = row_kernels(filters)``.

    A convolution with 3 output channels uses only a fifth of a CPU's vector units. Instead, each row of the filters is
    convolved by itself, in one convolution with ``C f`` output channels, and these are then shifted and added up,
    which is 2 to 3 times as fast.

    Args:
        responses: ``(B, K, h, w)``.
        kernels: ``(C f, K, 1, f)``.

    Returns:
        ``(B, C, h + f - 1, w + f - 1)``.
    """
    size = kernels.shape[3]
    rows = F.conv2d(responses, kernels, padding=(0, size - 1))
    rows = rows.unflatten(1, (-1, size))
    total = F.pad(rows[:, :, 0], (0, 0, 0, size - 1))
    for down in range(1, size):
        # Adding in place to a slice would make autograd copy the whole picture each time.
        total = total + F.pad(rows[:, :, down], (0, 0, down, size - 1 - down))
    return total
