"""The isotropic range prior and the hard bound B+ (Mahendran & Vedaldi 2016; thesis summary, eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.prior import Prior


@dataclass(frozen=True)
class IsotropicRange(Prior):
    """``E(x) = 1/(H W) sum_ij (sum_k (x_ijk - mean_k)^2)^(alpha/2)``.

    It penalises colours far from the mean colour, equally in all directions of colour space. The papers write it with
    0..255 units and a typical intensity B as ``(||255 (x - mean)|| / B)^alpha``, which is a weight of
    ``(255 / B)^alpha`` here.

    Args:
        alpha: exponent, >= 1; the papers use 6.
        mean: the network's mean colour, one value per channel, [0, 1] units.

    Source: thesis summary eq. 6; Mahendran & Vedaldi 2016, eq. 4.
    """

    alpha: float = 6.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not 1 <= self.alpha < float("inf"):
            raise InputError(f"isotropic_range.alpha must be >= 1, but got {self.alpha}; valid: 2, 6, ...")

    def check(self, shape: tuple[int, ...]) -> None:
        if len(self.mean) != shape[0]:
            raise InputError(
                f"isotropic_range.mean has {len(self.mean)} values for {shape[0]} channels; valid: one per channel"
            )

    def energy(self, x: Tensor) -> Tensor:
        self.check(tuple(x.shape[1:]))
        _, square = _squared_norm(x, self.mean)
        return square.pow_(self.alpha / 2).sum((1, 2, 3)) / (x.shape[2] * x.shape[3])

    def gradient(self, x: Tensor) -> Tensor:
        self.check(tuple(x.shape[1:]))
        deviation, square = _squared_norm(x, self.mean)
        if self.alpha < 2:  # avoids 0 to a negative power; the gradient at the mean colour becomes 0
            square.clamp_(min=torch.finfo(x.dtype).tiny)
        factor = square if self.alpha == 4 else square.pow_(self.alpha / 2 - 1)
        return deviation.mul_(factor.mul_(self.alpha / (x.shape[2] * x.shape[3])))


def project_to_bound(x: Tensor, bound: Tensor | float, mean: Sequence[float]) -> Tensor:
    """Move every pixel's colour towards the mean, in place, until ``||255 (x - mean)||_2 <= bound``.

    Args:
        x: ``(B, C, H, W)``, [0, 1] units; changed.
        bound: B+ in 0..255 units, one value or ``(B, 1, 1, 1)``; infinity leaves a row as it is.
        mean: colour per channel, [0, 1] units.

    Returns:
        ``x``.

    Source: Mahendran & Vedaldi 2016, section 3.2 (B+ = 2 B = 160).
    """
    centre = torch.tensor(tuple(mean), dtype=x.dtype).to(x.device, non_blocking=True).reshape(1, -1, 1, 1)
    x.sub_(centre)
    channels = x.unbind(1)
    square = channels[0] * channels[0]
    for channel in channels[1:]:
        square.addcmul_(channel, channel)
    # min(1, bound / norm); a norm of zero gives infinity, of which the minimum makes 1.
    factor = square.sqrt_().unsqueeze_(1).reciprocal_().mul_(bound if isinstance(bound, Tensor) else float(bound))
    return x.mul_(factor.mul_(1 / 255).clamp_(max=1.0)).add_(centre)


def _squared_norm(x: Tensor, mean: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return ``x - mean`` and its squared norm per pixel ``(B, 1, H, W)``."""
    deviation = torch.empty_like(x, memory_format=torch.contiguous_format)
    channels = deviation.unbind(1)
    for source, target, centre in zip(x.unbind(1), channels, mean, strict=True):
        torch.sub(source, centre, out=target)
    square = channels[0] * channels[0]
    for channel in channels[1:]:
        square.addcmul_(channel, channel)
    return deviation, square.unsqueeze_(1)
