"""Pixel errors between pictures."""

from __future__ import annotations

from torch import Tensor


def image_mse(images: Tensor, originals: Tensor) -> Tensor:
    """Return the mean squared error per picture, ``mean_(c,h,w) (x - y)^2``.

    Args:
        images, originals: ``(B, C, H, W)``, RGB in [0, 1].

    Returns:
        ``(B,)``, in [0, 1]; lower is better.
    """
    return (images - originals).square().flatten(1).mean(1)


def psnr(images: Tensor, originals: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in decibels, ``-10 log10(image_mse)``, for a data range of 1.

    Args:
        images, originals: ``(B, C, H, W)``, RGB in [0, 1].

    Returns:
        ``(B,)``; higher is better, infinite for equal pictures.
    """
    return -10 * image_mse(images, originals).log10()
