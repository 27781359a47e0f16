"""The alpha norm (Mahendran & Vedaldi 2015; thesis summary, eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.prior import Prior


@dataclass(frozen=True)
class AlphaNorm(Prior):
    """``E(x) = 1/(H W) sum_ijc |x_ijc - m|^alpha`` with the row's own mean ``m`` over pixels and channels.

    The gradient includes the mean's dependence on the picture: with ``s = alpha |d|^(alpha-1) sign(d)``, ``d = x - m``,
    it is ``(s - mean(s)) / (H W)``. It vanishes on constant pictures (``alpha = 1``: the sub-gradient 0).

    Args:
        alpha: exponent, >= 1; the papers use 6.

    Source: thesis summary eq. 4 (Mahendran & Vedaldi's code subtracts the data set's mean instead).
    """

    alpha: float = 6.0

    def __post_init__(self) -> None:
        if not 1 <= self.alpha < float("inf"):
            raise InputError(f"alpha_norm.alpha must be >= 1, but got {self.alpha}; valid: 2, 6, ...")

    def energy(self, x: Tensor) -> Tensor:
        deviation = x - x.mean((1, 2, 3), keepdim=True)
        return (deviation * deviation).pow_(self.alpha / 2).sum((1, 2, 3)) / (x.shape[2] * x.shape[3])

    def gradient(self, x: Tensor) -> Tensor:
        deviation = x - x.mean((1, 2, 3), keepdim=True)
        if self.alpha == 2:
            slope = deviation
        elif self.alpha > 2:  # even exponents become squares and cubes, far cheaper than a general power
            slope = (deviation * deviation).pow_(self.alpha / 2 - 1).mul_(deviation)
        else:
            slope = deviation.abs().pow_(self.alpha - 1).mul_(deviation.sign())
        slope.mul_(self.alpha / (x.shape[2] * x.shape[3]))
        return slope.sub_(slope.mean((1, 2, 3), keepdim=True))
