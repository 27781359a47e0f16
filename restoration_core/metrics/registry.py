"""Metrics by name, with their direction and range; ``feature_error@LAYER`` measures at a held-out layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.metrics.feature import feature_error, feature_error_root
from restoration_core.metrics.image_error import image_mse, psnr
from restoration_core.metrics.perceptual import gram_distance, perceptual_distance
from restoration_core.metrics.structural import ssim, ssim_components


@dataclass(frozen=True)
class Metric:
    """A measure of a picture against its original; over several layers it is the mean over them.

    Attributes:
        name: key in :data:`METRICS`.
        goal: ``minimize`` where lower is better, else ``maximize``.
        low, high: range of its values.
        description: one line for tables and tool tips.
        needs: what :attr:`compute` takes, two batches of pictures or two of feature maps.
        compute: pure function ``(reconstruction, original) -> (B,)``.
        layers: the layers of a metric of feature maps that names none: those that the reconstruction was fitted to, or
            some spread over the scales of the network.
    """

    name: str
    goal: Literal["minimize", "maximize"]
    low: float
    high: float
    description: str
    needs: Literal["images", "features"]
    compute: Callable[[Tensor, Tensor], Tensor]
    layers: Literal["matched", "spread"] = "matched"


def _luminance(images: Tensor, originals: Tensor) -> Tensor:
    return ssim_components(images, originals).luminance


def _contrast(images: Tensor, originals: Tensor) -> Tensor:
    return ssim_components(images, originals).contrast


def _structure(images: Tensor, originals: Tensor) -> Tensor:
    return ssim_components(images, originals).structure


_GRAM = "||G - G0||^2 / ||G0||^2 of Gram matrices (textures), mean over layers"
_PERCEPTUAL = "squared distance of unit channel vectors, mean over layers: LPIPS without its learned weights"

_ALL = (
    Metric("image_mse", "minimize", 0, 1, "mean squared error of RGB in [0, 1]", "images", image_mse),
    Metric("psnr", "maximize", 0, math.inf, "peak signal-to-noise ratio in dB, data range 1", "images", psnr),
    Metric("ssim", "maximize", -1, 1, "structural similarity, Gaussian window 11", "images", ssim),
    Metric("ssim_luminance", "maximize", 0, 1, "mean luminance factor of SSIM", "images", _luminance),
    Metric("ssim_contrast", "maximize", 0, 1, "mean contrast factor of SSIM", "images", _contrast),
    Metric("ssim_structure", "maximize", -1, 1, "mean structure factor of SSIM", "images", _structure),
    Metric("feature_error", "minimize", 0, math.inf, "||phi - phi0||^2 / ||phi0||^2", "features", feature_error),
    Metric("feature_error_root", "minimize", 0, math.inf, "||phi - phi0|| / ||phi0||", "features", feature_error_root),
    Metric("gram_distance", "minimize", 0, math.inf, _GRAM, "features", gram_distance, "spread"),
    Metric("perceptual_distance", "minimize", 0, 4, _PERCEPTUAL, "features", perceptual_distance, "spread"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def parse_metric(name: str) -> tuple[Metric, tuple[str, ...]]:
    """Return the metric that ``name`` means, and the layers named behind ``@``.

    Args:
        name: a key of :data:`METRICS`. A metric of feature maps may be followed by ``@LAYER`` or ``@LAYER+LAYER`` for
            the mean over those layers; without, :attr:`Metric.layers` says which are meant.

    Returns:
        The metric, and the layers as they were written, not yet resolved.

    Raises:
        InputError: for an unknown metric, an empty layer, or a layer given to a metric of pictures.

    >>> parse_metric("gram_distance@conv1/relu+conv3/relu")[1]
    ('conv1/relu', 'conv3/relu')
    """
    base, at, behind = name.partition("@")
    if base not in METRICS:
        raise InputError(unknown("metric", base, METRICS))
    metric = METRICS[base]
    if not at:
        return metric, ()
    if metric.needs == "images":
        raise InputError(f"metric {name!r} compares pictures and takes no layer; valid: {base}")
    layers = tuple(behind.split("+"))
    if not all(layers):
        where = "@ or +" if "+" in behind else "@"
        valid = f"{base}@conv3/relu, or {base} alone"
        raise InputError(f"metric {name!r} names no layer behind its {where}; valid: {valid}")
    return metric, layers
