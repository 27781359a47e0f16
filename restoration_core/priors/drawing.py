"""Drawing the filters of a patch prior as a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from restoration_core.errors import InputError, unknown
from restoration_core.priors.patch_experts import PatchExperts

ORDERS = ("alpha", "frequency")
_GAP = 1
_PAPER = 0


def draw_filters(
    prior: PatchExperts, *, order: str = "alpha", columns: int = 32, scale: int = 4, limit: int | None = None
) -> Image.Image:
    """Return a picture of the filters, each on its own scale around grey (grey = 0, its largest weight = full).

    Args:
        prior: with 3 channels (drawn in colour) or 1 (in grey).
        order: ``alpha`` (heaviest expert first) or ``frequency`` (coarsest first).
        columns: filters in a row.
        scale: side of a drawn weight in pixels.
        limit: draw only the first so many.

    Raises:
        InputError: an unknown order, a prior of other channels, or numbers below 1.
    """
    if order not in ORDERS:
        raise InputError(unknown("order", order, ORDERS))
    if prior.channels not in (1, 3):
        raise InputError(f"filters of {prior.channels} channels cannot be drawn; valid: 1 or 3 channels")
    for name, value in (("columns", columns), ("scale", scale), ("limit", 1 if limit is None else limit)):
        if value < 1:
            raise InputError(f"{name}: {name} >= 1 must hold, but got {value}")
    filters: NDArray[np.float64] = prior.filters.detach().cpu().double().numpy()
    ranks = -prior.alphas.detach().cpu().double().numpy() if order == "alpha" else mean_frequency(filters)
    filters = filters[np.argsort(ranks, kind="stable")][:limit]
    if prior.channels == 1:
        filters = filters.repeat(3, axis=1)
    peak = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    tiles = np.rint(127.5 + 127.5 * filters / np.maximum(peak, np.finfo(np.float64).tiny)).astype(np.uint8)
    columns = min(columns, len(tiles))
    rows, side = -(-len(tiles) // columns), prior.patch_size * scale
    pitch = side + _GAP
    sheet = np.full((rows * pitch + _GAP, columns * pitch + _GAP, 3), _PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * pitch + _GAP, index % columns * pitch + _GAP
        enlarged = tile.transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + side, left : left + side] = enlarged
    return Image.fromarray(sheet)


def mean_frequency(filters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each filter's mean spatial frequency in cycles per pixel, weighted by its power spectrum.

    Args:
        filters: ``(K, C, size, size)``.

    Returns:
        ``(K,)``, 0 (flat) to 0.71 (a chequerboard).
    """
    size = filters.shape[-1]
    power = (np.abs(np.fft.fft2(filters, s=(4 * size, 4 * size))) ** 2).sum(axis=1)
    axis = np.fft.fftfreq(4 * size)
    radius = np.hypot(axis[:, None], axis)
    return (power * radius).sum(axis=(1, 2)) / np.maximum(power.sum(axis=(1, 2)), np.finfo(np.float64).tiny)
