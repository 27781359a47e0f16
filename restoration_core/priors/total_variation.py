"""Total variation with an exponent (Mahendran & Vedaldi 2015; thesis summary, eq. 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.prior import Prior

SMALLEST_SQUARE = 1e-5 / 255**2
"""Below this squared difference ([0, 1] units; 1e-5 on the 0..255 scale, as MV15 clamps) the exponent is not taken."""


@dataclass(frozen=True)
class TotalVariation(Prior):
    """``E(x) = 1/(H W) sum_ij sum_c ((x_i,j+1 - x_ij)^2 + (x_i+1,j - x_ij)^2)^(beta/2)``.

    Differences are forward, the last row and column repeat themselves (their difference is zero), and the root is
    taken per channel. For ``beta < 2`` the exact gradient is singular where the picture is constant: squared
    differences ``v`` below ``SMALLEST_SQUARE`` enter the gradient as ``beta max(v, SMALLEST_SQUARE)^(beta/2-1) d``, so
    that it goes to zero there. The energy itself is not clamped.

    Args:
        beta: exponent, >= 1. 2 is the squared gradient; 1 keeps edges but gives spiky pictures.

    Source: thesis summary eq. 5; Mahendran & Vedaldi 2015, eq. 6; clamp as in their public code.
    """

    beta: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.beta < float("inf"):
            raise InputError(f"total_variation.beta must be >= 1, but got {self.beta}; valid: 1, 2, 2.5, ...")

    def energy(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if self.beta == 2:  # the sum splits into the two directions: no full-size map is needed
            down = (x[..., 1:, :] - x[..., :-1, :]).square_().sum((1, 2, 3))
            right = (x[..., 1:] - x[..., :-1]).square_().sum((1, 2, 3))
            return (down + right) / (height * width)
        _, _, square = _differences(x)
        return square.pow_(self.beta / 2).sum((1, 2, 3)) / (height * width)

    def gradient(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        scale = self.beta / (height * width)
        if self.beta == 2:
            return _squared_gradient(x, scale)
        down, right, square = _differences(x)
        factor = square.clamp_(min=SMALLEST_SQUARE).pow_(self.beta / 2 - 1).mul_(scale)
        down.mul_(factor)
        right.mul_(factor)
        # Each difference pushes its own pixel down and its neighbour up: minus the divergence.
        out = torch.add(down, right, out=factor).neg_()
        out[..., 1:, :].add_(down[..., :-1, :])
        out[..., 1:].add_(right[..., :-1])
        return out


def _differences(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return forward differences along both axes with zero at the far edge, and the sum of their squares."""
    down, right = torch.empty_like(x), torch.empty_like(x)
    torch.sub(x[..., 1:, :], x[..., :-1, :], out=down[..., :-1, :])
    torch.sub(x[..., 1:], x[..., :-1], out=right[..., :-1])
    down[..., -1, :].zero_()
    right[..., -1].zero_()
    return down, right, (down * down).addcmul_(right, right)


def _squared_gradient(x: Tensor, scale: float) -> Tensor:
    """Return ``scale`` times the graph Laplacian of the pixel grid applied to ``x``."""
    down = (x[..., 1:, :] - x[..., :-1, :]).mul_(scale)
    right = (x[..., 1:] - x[..., :-1]).mul_(scale)
    out = torch.zeros_like(x)
    out[..., 1:, :].copy_(down)
    out[..., :-1, :].sub_(down)
    out[..., 1:].add_(right)
    out[..., :-1].sub_(right)
    return out
