"""Structural similarity and its three factors (Wang et al. 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.errors import InputError

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


@dataclass(frozen=True)
class SsimComponents:
    """Means of the three factors of SSIM over positions and channels, each ``(B,)``.

    :attr:`ssim` is the mean of the product of the factors, which is not the product of their means.

    Attributes:
        luminance: ``(2 m_x m_y + C1) / (m_x^2 + m_y^2 + C1)``, in (0, 1] for pictures in [0, 1].
        contrast: ``(2 s_x s_y + C2) / (s_x^2 + s_y^2 + C2)``, in (0, 1].
        structure: ``(s_xy + C2/2) / (s_x s_y + C2/2)``, in [-1, 1].
        ssim: mean of luminance * contrast * structure.
    """

    luminance: Tensor
    contrast: Tensor
    structure: Tensor
    ssim: Tensor


def ssim_components(images: Tensor, originals: Tensor) -> SsimComponents:
    """Return SSIM and its luminance, contrast and structure factors.

    Means, variances and covariance (biased estimates) are local, under an 11 x 11 Gaussian window with standard
    deviation 1.5, at all positions where the window fits, for each channel. The constants are ``C1 = 0.01^2`` and
    ``C2 = 0.03^2``, for a data range of 1.

    Args:
        images, originals: ``(B, C, H, W)`` with H, W >= 11, values in [0, 1].

    Raises:
        InputError: for pictures smaller than the window.

    Source:
        Wang, Bovik, Sheikh, Simoncelli 2004, eq. 6, 9, 10, 12-16.
    """
    height, width = images.shape[-2:]
    if min(height, width) < WINDOW:
        raise InputError(f"ssim needs pictures of at least {WINDOW} x {WINDOW} pixels, but got {height} x {width}")
    c1, c2 = K1**2, K2**2
    x, y = images, originals.expand_as(images)
    batch, channels = x.shape[:2]
    moments = _blur(torch.cat([x, y, x * x, y * y, x * y], 1)).reshape(batch, 5, channels, -1)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = moments.unbind(1)
    variance_x = (mean_xx - mean_x**2).clamp_min(0)
    variance_y = (mean_yy - mean_y**2).clamp_min(0)
    covariance = mean_xy - mean_x * mean_y
    deviations = (variance_x * variance_y).sqrt()
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * deviations + c2) / (variance_x + variance_y + c2)
    structure = (covariance + c2 / 2) / (deviations + c2 / 2)
    product = luminance * (2 * covariance + c2) / (variance_x + variance_y + c2)
    return SsimComponents(*(value.flatten(1).mean(1) for value in (luminance, contrast, structure, product)))


def ssim(images: Tensor, originals: Tensor) -> Tensor:
    """Return the structural similarity per picture, ``(B,)``, in [-1, 1]; higher is better, 1 for equal pictures.

    See :func:`ssim_components`.
    """
    return ssim_components(images, originals).ssim


def _blur(x: Tensor) -> Tensor:
    """Return the Gaussian-weighted mean in every whole window, ``(B, C, H, W) -> (B, C, H - 10, W - 10)``."""
    offsets = torch.arange(WINDOW, device=x.device, dtype=x.dtype) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    channels = x.shape[1]
    down = weights.reshape(1, 1, WINDOW, 1).expand(channels, 1, WINDOW, 1)
    across = weights.reshape(1, 1, 1, WINDOW).expand(channels, 1, 1, WINDOW)
    return F.conv2d(F.conv2d(x, down, groups=channels), across, groups=channels)
