"""Checks of the tensors that priors are made of, and of the shape of what they are given."""

from __future__ import annotations

import torch
from torch import Tensor

from restoration_core.errors import InputError


def check_channels_of(shape: tuple[int, ...], channels: int) -> None:
    """Refuse maps that do not have a prior's number of channels.

    Args:
        shape: ``(C, H, W)``.
        channels: that the prior takes.

    Raises:
        InputError: other channels, or no map at all.
    """
    if len(shape) != 3 or shape[0] != channels or min(shape) < 1:
        got = ", ".join(map(str, shape))
        raise InputError(f"x: shape (B, {channels}, H, W) is needed by this prior, but got (B, {got})")


def check_square(name: str, filters: Tensor, axes: str) -> None:
    """Refuse filters that are no stack of squares.

    Args:
        name: of the tensor, for the message.
        filters: should be ``(., ., size, size)``.
        axes: the first two axes in letters, ``K, C``.

    Raises:
        InputError: another shape.
    """
    if filters.ndim != 4 or filters.shape[2] != filters.shape[3]:
        raise InputError(f"{name}: shape ({axes}, size, size) is needed, but got {tuple(filters.shape)}")


def check_parts(**parts: tuple[Tensor, tuple[int, ...]]) -> None:
    """Refuse tensors that do not have the shape they need, or hold values that are not finite.

    Args:
        parts: name -> tensor and its shape.

    Raises:
        InputError: the first that does not fit.
    """
    for name, (tensor, shape) in parts.items():
        if tensor.shape != shape:
            raise InputError(f"{name}: shape {shape} is needed, but got {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{name}: finite values are needed, but got some that are not")
