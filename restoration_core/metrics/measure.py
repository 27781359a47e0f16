"""Metrics of pictures by name, whatever they compare: pixels or a network's feature maps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restoration_core.metrics.registry import parse_metric

if TYPE_CHECKING:
    from restoration_core.networks import Classifier


def metric_layers(name: str, classifier: Classifier, matched: Iterable[str], size: int) -> tuple[str, ...]:
    """Return the layers that a metric compares, under the network's own names; none for a metric of pictures.

    Args:
        name: as :func:`parse_metric` takes it. Without layers of its own, ``feature_error`` means the matched ones, a
            perceptual metric :func:`~restoration_core.networks.spread_layers.spread_layers`.
        classifier: the network.
        matched: layers that the reconstruction was fitted to.
        size: side of the pictures in pixels.

    Raises:
        InputError: for an unknown metric or layer, and a layer that does not take this size.
    """
    from restoration_core.networks.spread_layers import spread_layers

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
        names: as :func:`parse_metric` takes them.
        images, originals: ``(B, 3, S, S)``, RGB in [0, 1].
        matched: layers that the reconstructions were fitted to.

    Returns:
        Name as given -> ``(B,)``, without gradient. A metric for which the network has no layer at this size is absent.

    Raises:
        InputError: as :func:`metric_layers`; SSIM's for pictures smaller than its window.
    """
    matched, count = tuple(matched), len(images)
    layers = {name: metric_layers(name, classifier, matched, images.shape[-1]) for name in names}
    with torch.no_grad():
        pair = torch.cat([images, originals.expand_as(images)])  # never a batch of one, which may round differently
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
