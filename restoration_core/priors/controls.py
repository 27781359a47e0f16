"""Random pictures that share simple statistics with a photograph; a good prior finds them less likely than that."""

from __future__ import annotations

import torch
from torch import Tensor


def noise_matched(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Return white Gaussian noise with the picture's mean and covariance of its channels.

    Args:
        picture: ``(C, H, W)``.
        generator: draws the noise.

    Returns:
        ``(C, H, W)``, not clipped to [0, 1]; its sample mean and covariance are those of the picture exactly.
    """
    target = picture.flatten(1).double()
    noise = torch.randn(target.shape, generator=generator, dtype=torch.float64)
    noise = noise - noise.mean(dim=1, keepdim=True)
    coloured = _root(target) @ _root(noise, inverse=True) @ noise + target.mean(dim=1, keepdim=True)
    return coloured.reshape(picture.shape).to(picture.dtype)


def phase_scrambled(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Return a picture with the same Fourier amplitudes and random phases.

    The phases of white noise are added to those of every channel alike. So the power spectra, the cross-spectra of the
    channels and the means stay the same, which are all second-order statistics of a periodic picture.

    Args:
        picture: ``(C, H, W)``.
        generator: draws the phases.

    Returns:
        ``(C, H, W)``, not clipped to [0, 1].
    """
    height, width = picture.shape[1:]
    noise = torch.fft.rfft2(torch.randn(height, width, generator=generator, dtype=torch.float64))
    turn = noise / noise.abs()
    turn[0, 0] = 1.0
    spectrum = torch.fft.rfft2(picture.double())
    return torch.fft.irfft2(spectrum * turn, s=(height, width)).to(picture.dtype)


def _root(values: Tensor, *, inverse: bool = False) -> Tensor:
    """Return the symmetric square root of the covariance ``(C, C)`` of ``(C, N)``, or its inverse."""
    centred = values - values.mean(dim=1, keepdim=True)
    variances, axes = torch.linalg.eigh(centred @ centred.T / values.shape[1])
    roots = variances.clamp(min=0.0).sqrt()
    return axes * (1.0 / roots if inverse else roots) @ axes.T
