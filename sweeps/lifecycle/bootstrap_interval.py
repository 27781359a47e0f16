"""Intervals by resampling: how far a mean over pictures would move with other pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


def bootstrap_interval(differences: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean, resampling pictures.

    Args:
        differences: ``(pictures,)``, one value a picture; of two methods compared, paired by picture.
        seed: of the resampling.
    """
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
