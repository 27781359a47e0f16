"""Measuring pictures by the names of metrics, of pixels and of feature maps alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restoration_core.metrics.registry import parse_metric

if TYPE_CHECKING:
    from restoration_core.networks import Classifier


def metric_layers(name: str, classifier: Classifier, matched: Iterable[str], size: int) -> tuple[str, ...]:
    """Return the layers that a metric compares, by the network's own names; none for a metric of pictures.

    Args:
        name: as for :func:`parse_metric`. If it names no layers, ``feature_error`` compares the matched ones, and a
            perceptual metric those of :func:`~restoration_core.networks.layer_names.spread_layers.spread_layers`.
        classifier: the network.
        matched: layers that the reconstruction was fitted to.
        size: side of the pictures in pixels.

    Raises:
        InputError: for an unknown metric or layer, and a layer that does not take this size.
    """
    from restoration_core.networks.layer_names.spread_layers import spread_layers

    metric, named = parse_metric(name)
    if metric.needs == "images":
        return ()
    if not named and metric.layers == "spread":
        return spread_layers(classifier, size)
    layers = tuple(dict.fromkeys(classifier.resolve(layer) for layer in named or matched))
    for layer in layers:
        classifier.shape(layer, size)
    return layers


def measure(
    classifier: Classifier, names: Iterable[str], images: Tensor, originals: Tensor, matched: Iterable[str]
) -> dict[str, Tensor]:
    """Return metrics of pictures by name; a metric over several layers is the mean over them.

    Args:
        classifier: on the pictures' device, in their dtype.
        names: as for :func:`parse_metric`.
        images, originals: ``(B, 3, S, S)``, RGB in [0, 1].
        matched: layers that the reconstructions were fitted to.

    Returns:
        ``(B,)`` by name, without gradient. A metric for which the network has no layer at this size is left out.

    Raises:
        InputError: as :func:`metric_layers`, and for SSIM of pictures smaller than its window.
    """
    matched, count = tuple(matched), len(images)
    layers = {name: metric_layers(name, classifier, matched, images.shape[-1]) for name in names}
    with torch.no_grad():
        # A batch of two or more: one row alone may be rounded differently.
        pair = torch.cat([images, originals.expand_as(images)])
        maps = classifier.features(pair, dict.fromkeys(layer for own in layers.values() for layer in own))
        columns = {}
        for name, own in layers.items():
            metric, _ = parse_metric(name)
            if metric.needs == "images":
                columns[name] = metric.compute(images, originals.expand_as(images))
            elif own:
                errors = [metric.compute(maps[layer][:count], maps[layer][count:]) for layer in own]
                columns[name] = torch.stack(errors).mean(0)
    return columns
