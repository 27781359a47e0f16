"""The alpha norm (Mahendran & Vedaldi 2015; thesis summary, eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.priors.prior import Prior

CENTRES = ("picture", "channel", "data")
"""What is subtracted: the picture's mean over pixels and channels, its mean per channel, or the data set's mean."""


@dataclass(frozen=True)
class AlphaNorm(Prior):
    """``E(x) = 1/(H W) sum_ijc |x_ijc - m_c|^alpha``, a sum over the channels (eq. 6 is the isotropic form).

    ``m`` is the row's own mean over pixels and channels (``picture``, eq. 4 as it is written), its own mean per channel
    (``channel``), or the data set's mean (``data``, as in Mahendran & Vedaldi's code, whose pictures have that mean
    subtracted). The row's own mean depends on the picture, and the gradient takes that into account: with
    ``s = alpha |d|^(alpha-1) sign(d)`` and ``d = x - m`` it is ``(s - mean(s)) / (H W)``, where the mean is taken as
    for ``m``. It is zero on constant pictures (for ``alpha = 1`` by choice of the sub-gradient 0). With ``data`` it is
    ``s / (H W)``.

    Args:
        alpha: exponent, >= 1; the papers use 6.
        centre: one of :data:`CENTRES`.
        mean: with ``data``, one value per channel in the units of the picture, RGB in [0, 1].

    Source: thesis summary eq. 4; Mahendran & Vedaldi 2015, section 3.1, and their public code.
    """

    alpha: float = 6.0
    centre: str = "picture"
    mean: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.alpha < float("inf"):
            raise InputError(f"alpha_norm.alpha must be >= 1, but got {self.alpha}; valid: 2, 6, ...")
        if self.centre not in CENTRES:
            raise InputError(unknown("alpha_norm.centre", self.centre, CENTRES))
        if (self.centre == "data") != (self.mean is not None):
            raise InputError(
                f"alpha_norm.mean goes with centre 'data', but got {self.mean} with {self.centre!r}; valid: a mean per "
                "channel with 'data', none otherwise"
            )

    def check(self, shape: tuple[int, ...]) -> None:
        if self.mean is not None and len(self.mean) != shape[0]:
            raise InputError(
                f"alpha_norm.mean has {len(self.mean)} values for {shape[0]} channels; valid: one per channel"
            )

    def energy(self, x: Tensor) -> Tensor:
        deviation = self._deviation(x)
        return (deviation * deviation).pow_(self.alpha / 2).sum((1, 2, 3)) / (x.shape[2] * x.shape[3])

    def gradient(self, x: Tensor) -> Tensor:
        deviation = self._deviation(x)
        if self.alpha == 2:
            slope = deviation
        elif self.alpha > 2:  # for even alpha this is a whole power, which is far cheaper than a general one
            slope = (deviation * deviation).pow_(self.alpha / 2 - 1).mul_(deviation)
        else:
            slope = deviation.abs().pow_(self.alpha - 1).mul_(deviation.sign())
        slope.mul_(self.alpha / (x.shape[2] * x.shape[3]))
        return slope if self.centre == "data" else slope.sub_(self._own_mean(slope))

    def _deviation(self, x: Tensor) -> Tensor:
        if self.mean is None:
            return x - self._own_mean(x)
        self.check(tuple(x.shape[1:]))
        return x - torch.tensor(self.mean, dtype=x.dtype).to(x.device, non_blocking=True).reshape(1, -1, 1, 1)

    def _own_mean(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3) if self.centre == "picture" else (2, 3), keepdim=True)
