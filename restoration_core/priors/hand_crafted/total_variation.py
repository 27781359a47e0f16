"""Total variation with an exponent (Mahendran & Vedaldi 2015; thesis summary, eq. 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.priors.prior import Prior

EDGES = ("replicate", "trim")
"""At the last row and column differences are zero, or pixels without both neighbours are left out of the sum."""
NEAR_ZERO = ("clamp", "smooth")
"""For ``beta < 2``: limit the gradient where the picture is constant, or make the energy smooth there."""
EPSILON = 1e-5
"""Squared difference on the 0..255 scale below which either sets in (MV15's code has 1e-5, in places 1e-6)."""


@dataclass(frozen=True)
class TotalVariation(Prior):
    """``E(x) = 1/(H W) sum_ij sum_c v_ijc^(beta/2)``, ``v_ij = (x_i,j+1 - x_ij)^2 + (x_i+1,j - x_ij)^2``.

    Differences are forward, and the power is taken for each channel. With ``edges="replicate"`` the last row and column
    are repeated (so their difference is zero); with ``"trim"`` the sum runs over the ``(H-1) (W-1)`` pixels that have
    both neighbours. Either sum is divided by all ``H W`` pixels, so that a published sum is ``H W`` times the energy.

    For ``beta < 2`` the exact gradient is infinite where the picture is constant. With ``e = epsilon / 255^2``:
    ``near_zero="clamp"`` uses the gradient ``beta max(v, e)^(beta/2-1) d``, which goes to zero there, and leaves the
    energy as it is; ``"smooth"`` replaces ``v^(beta/2)`` by ``(v + e)^(beta/2) - e^(beta/2)``, which has an exact
    gradient everywhere. For ``beta >= 2`` neither changes anything.

    Args:
        beta: exponent, >= 1. 2 is the squared gradient; 1 keeps edges but gives spiky pictures.
        edges: one of :data:`EDGES`.
        near_zero: one of :data:`NEAR_ZERO`.
        epsilon: squared difference in 0..255 units, > 0.

    Source: thesis summary eq. 5; Mahendran & Vedaldi 2015, eq. 6; edges and clamp as in their public code.
    """

    beta: float = 2.0
    edges: str = "replicate"
    near_zero: str = "clamp"
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        if not 1 <= self.beta < float("inf"):
            raise InputError(f"total_variation.beta must be >= 1, but got {self.beta}; valid: 1, 2, 2.5, ...")
        if self.edges not in EDGES:
            raise InputError(unknown("total_variation.edges", self.edges, EDGES))
        if self.near_zero not in NEAR_ZERO:
            raise InputError(unknown("total_variation.near_zero", self.near_zero, NEAR_ZERO))
        if not 0 < self.epsilon < float("inf"):
            raise InputError(f"total_variation.epsilon must be finite and > 0, but got {self.epsilon}; valid: 1e-5")

    @property
    def smallest_square(self) -> float:
        """``epsilon`` on the [0, 1] scale."""
        return self.epsilon / 255**2

    def energy(self, x: Tensor) -> Tensor:
        pixels = x.shape[-2] * x.shape[-1]
        if self.beta == 2 and self.edges == "replicate":  # splits into both directions: no full-size map is needed
            down = (x[..., 1:, :] - x[..., :-1, :]).square_().sum((1, 2, 3))
            right = (x[..., 1:] - x[..., :-1]).square_().sum((1, 2, 3))
            return (down + right) / pixels
        _, _, square = self._differences(x)
        if self.beta >= 2 or self.near_zero == "clamp":
            return square.pow_(self.beta / 2).sum((1, 2, 3)) / pixels
        offset = x.new_full((1,), self.smallest_square).pow_(self.beta / 2)  # a tensor, to be rounded like x
        return square.add_(self.smallest_square).pow_(self.beta / 2).sub_(offset).sum((1, 2, 3)) / pixels

    def gradient(self, x: Tensor) -> Tensor:
        scale = self.beta / (x.shape[-2] * x.shape[-1])
        if self.beta == 2 and self.edges == "replicate":
            return _squared_gradient(x, scale)
        down, right, square = self._differences(x)
        if self.beta < 2:
            if self.near_zero == "clamp":
                square.clamp_(min=self.smallest_square)
            else:
                square.add_(self.smallest_square)
        factor = square.pow_(self.beta / 2 - 1).mul_(scale)
        down.mul_(factor)
        right.mul_(factor)
        # Each difference enters at its own pixel with a minus and at its neighbour with a plus: minus the divergence.
        out = torch.add(down, right, out=factor).neg_()
        out[..., 1:, :].add_(down[..., :-1, :])
        out[..., 1:].add_(right[..., :-1])
        return out

    def _differences(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return forward differences along both axes (zero where they are not counted) and the sum of their squares."""
        down, right = torch.empty_like(x), torch.empty_like(x)
        torch.sub(x[..., 1:, :], x[..., :-1, :], out=down[..., :-1, :])
        torch.sub(x[..., 1:], x[..., :-1], out=right[..., :-1])
        down[..., -1, :].zero_()
        right[..., -1].zero_()
        if self.edges == "trim":
            down[..., -1].zero_()
            right[..., -1, :].zero_()
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
