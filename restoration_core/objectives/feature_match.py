"""Targets of the feature match."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier


def feature_targets(classifier: Classifier, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Return one picture's feature maps, detached, by the name given.

    Args:
        classifier: the network.
        image: ``(3, H, W)``, RGB in [0, 1].
        layers: names that ``classifier.resolve`` accepts.

    Raises:
        InputError: for an unknown layer, a layer that refuses the size, or a picture of another shape.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise InputError(f"image: shape {tuple(image.shape)}; valid: (3, height, width), RGB in [0, 1]")
    x = image.to(device=classifier.device, dtype=classifier.dtype).unsqueeze(0)
    with torch.no_grad():
        # Two equal rows: on CPUs a convolution over one row rounds differently from one over several.
        maps = classifier.features(torch.cat([x, x]), layers)
    return {layer: values[0].clone() for layer, values in maps.items()}
