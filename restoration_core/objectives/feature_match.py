"""The target features of a picture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier


def feature_targets(classifier: Classifier, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Return a picture's feature maps by the given layer names, without gradients.

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
        # As two equal rows, because on a CPU a convolution over one row rounds differently from one over several.
        maps = classifier.features(torch.cat([x, x]), layers)
    return {layer: values[0].clone() for layer, values in maps.items()}
