"""Difference views of a reconstruction, on a scale that is stated and shared, so that pictures can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = 0.5
SPREAD_SCALE = 0.25
"""Standard deviation over restarts shown as white; uniform noise over all of [0, 1] has 0.29."""

Floats = NDArray[np.floating[Any]]


def signed_difference(original: Floats, reconstruction: Floats, scale: float | None = SCALE) -> NDArray[np.float32]:
    """Return the signed difference per channel, grey where there is none.

    ``1/2 + (reconstruction - original) / (2 scale)``, clipped to [0, 1]: brighter than grey where the reconstruction is
    too bright, white from an error of ``scale`` on.

    Args:
        original, reconstruction: ``(3, H, W)``, RGB in [0, 1].
        scale: error shown as white (and its negative as black), > 0; None for the largest error of this picture, as the
            thesis does, which makes pictures incomparable.

    Returns:
        ``(3, H, W)``, in [0, 1].
    """
    error = _error(original, reconstruction)
    return np.clip(0.5 + error / (2 * _scale(error, scale)), 0, 1).astype(np.float32)


def absolute_difference(original: Floats, reconstruction: Floats, scale: float | None = SCALE) -> NDArray[np.float32]:
    """Return the absolute difference per channel, black where there is none.

    ``|reconstruction - original| / scale``, clipped to [0, 1].

    Args:
        original, reconstruction: ``(3, H, W)``, RGB in [0, 1].
        scale: error shown as full brightness, > 0; None for the largest error of this picture.

    Returns:
        ``(3, H, W)``, in [0, 1].
    """
    error = _error(original, reconstruction)
    return np.clip(np.abs(error) / _scale(error, scale), 0, 1).astype(np.float32)


def spread_view(spread: Floats, scale: float = SPREAD_SCALE) -> NDArray[np.float32]:
    """Return a map of standard deviations as a grey picture, ``spread / scale`` clipped to [0, 1].

    Args:
        spread: ``(H, W)``, standard deviation over restarts at each pixel, RGB in [0, 1].
        scale: deviation shown as white, > 0.

    Returns:
        ``(3, H, W)``, in [0, 1]: black where all restarts agree.
    """
    if spread.ndim != 2:
        raise ValueError(f"spread must be (H, W), but got {spread.shape}")
    grey = np.clip(spread.astype(np.float64) / _scale(spread, scale), 0, 1).astype(np.float32)
    return np.repeat(grey[None], 3, axis=0)


def _error(original: Floats, reconstruction: Floats) -> NDArray[np.float64]:
    if original.shape != reconstruction.shape:
        raise ValueError(f"pictures must have one shape, but got {original.shape} and {reconstruction.shape}")
    return reconstruction.astype(np.float64) - original.astype(np.float64)


def _scale(error: Floats, scale: float | None) -> float:
    if scale is None:
        return float(np.abs(error).max(initial=0)) or 1.0
    if not scale > 0:
        raise ValueError(f"scale must be > 0, but got {scale}")
    return scale
