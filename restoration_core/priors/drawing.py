"""A picture of a prior's filters, side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from restoration_core.errors import InputError, unknown
from restoration_core.priors.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.patch_experts import ChannelSubset, PatchField
from restoration_core.priors.prior import Prior

ORDERS = ("alpha", "frequency")
VIEWS = ("largest", "mean")
_GAP = 1
_PAPER = 0

Filters = NDArray[np.float64]


def draw_filters(
    prior: Prior,
    *,
    order: str = "alpha",
    view: str = "largest",
    columns: int = 32,
    scale: int = 4,
    limit: int | None = None,
) -> Image.Image:
    """Return a picture of the filters, each scaled so that grey is 0 and its largest weight is black or white.

    Filters over 3 channels are drawn in colour, filters over 1 channel (those of a channel-wise bank) in grey. Of
    filters over more channels one map is drawn in grey: the channel in which the filter is largest, or the mean over
    the channels.

    Args:
        prior: patch experts of any bank, or a convolutional field.
        order: ``alpha`` (heaviest expert first) or ``frequency`` (coarsest first).
        view: of filters over more than 3 channels, ``largest`` or ``mean``.
        columns: filters in a row.
        scale: side of a drawn weight in pixels.
        limit: how many filters to draw at most; all when None.

    Raises:
        InputError: an unknown order or view, a prior without filters, or numbers below 1.
    """
    if order not in ORDERS:
        raise InputError(unknown("order", order, ORDERS))
    if view not in VIEWS:
        raise InputError(unknown("view", view, VIEWS))
    for name, value in (("columns", columns), ("scale", scale), ("limit", 1 if limit is None else limit)):
        if value < 1:
            raise InputError(f"{name}: {name} >= 1 must hold, but got {value}")
    whole, alphas = _filters_of(prior)
    filters = _visible(whole, view)
    ranks = -alphas if order == "alpha" else mean_frequency(filters)
    filters = filters[np.argsort(ranks, kind="stable")][:limit]
    if filters.shape[1] == 1:
        filters = filters.repeat(3, axis=1)
    peak = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    tiles = np.rint(127.5 + 127.5 * filters / np.maximum(peak, np.finfo(np.float64).tiny)).astype(np.uint8)
    columns = min(columns, len(tiles))
    rows, side = -(-len(tiles) // columns), filters.shape[-1] * scale
    pitch = side + _GAP
    sheet = np.full((rows * pitch + _GAP, columns * pitch + _GAP, 3), _PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * pitch + _GAP, index % columns * pitch + _GAP
        enlarged = tile.transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + side, left : left + side] = enlarged
    return Image.fromarray(sheet)


def _filters_of(prior: Prior) -> tuple[Filters, Filters]:
    """Return filters ``(K, C, size, size)`` and the weight alpha of each, ``(K,)``."""
    if isinstance(prior, ChannelSubset):
        return _filters_of(prior.field)
    if isinstance(prior, PatchField):
        filters, alphas = prior.dense_filters()
    elif isinstance(prior, ConvolutionalExperts):
        filters, alphas = prior.filters, prior.alphas
    else:
        raise InputError(f"a {type(prior).__name__} has no filters to draw; valid: patch or convolutional experts")
    return filters.detach().cpu().double().numpy(), alphas.detach().cpu().double().numpy()


def _visible(filters: Filters, view: str) -> Filters:
    """Return the filters reduced to 1 channel, where they have neither 1 nor 3."""
    if filters.shape[1] in (1, 3):
        return filters
    if view == "mean":
        return filters.mean(axis=1, keepdims=True)
    strongest = np.square(filters).sum(axis=(2, 3)).argmax(axis=1)
    return filters[np.arange(len(filters)), strongest][:, None]


def mean_frequency(filters: Filters) -> Filters:
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
