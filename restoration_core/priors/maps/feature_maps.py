"""A layer's feature maps of photographs, computed a few at a time, and the usual patch size on a layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.maps.source import LayerMaps, MapSource

if TYPE_CHECKING:
    from restoration_core.networks import Classifier

_PICTURES_AT_ONCE = 8
_SMALLEST_SIDE = 64


class FeatureMaps:
    """A :class:`MapSource`: the maps of one layer of a network over the pictures of another source.

    Pictures keep their shape (only fully connected layers need squares). Neighbouring pictures of equal size go through
    the network together. The same request always gives the same bits.

    Args:
        classifier: the network, on the CPU in float32.
        layer: the layer, by any name that the network resolves.
        pictures: RGB in [0, 1].

    Raises:
        InputError: an unknown layer, one whose output is no map, or a source that gives maps itself.
    """

    def __init__(self, classifier: Classifier, layer: str, pictures: MapSource) -> None:
        if pictures.layer_maps is not None:
            raise InputError(f"pictures: pictures are needed, but got maps of {pictures.layer_maps}")
        shape = map_shape(classifier, layer)
        self._classifier, self._layer, self._pictures = classifier, classifier.resolve(layer), pictures
        self.identity = pictures.identity
        self.channels = shape[0]
        self.layer_maps = layer_maps(classifier, layer)

    def __len__(self) -> int:
        return len(self._pictures)

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of every map, from one forward pass for each size of picture."""
        known: dict[tuple[int, int], tuple[int, int]] = {}
        for height, width in sorted(set(self._pictures.sizes)):
            (found,) = self._features(torch.zeros(1, 3, height, width))
            known[height, width] = found.shape[1], found.shape[2]
        return tuple(known[size] for size in self._pictures.sizes)

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the maps of some pictures, each ``(C, H, W)``, float32, not scaled."""
        found: list[Tensor] = []
        for first in range(0, len(indices), _PICTURES_AT_ONCE):
            pictures = self._pictures.maps(indices[first : first + _PICTURES_AT_ONCE])
            for _, same in groupby(pictures, key=lambda picture: picture.shape):
                found += self._features(torch.stack(list(same)))
        return found

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> list[Tensor]:
        # A picture alone may differ in the last bit from itself in a larger batch, so it never goes alone.
        padded = pictures if len(pictures) > 1 else torch.cat([pictures, pictures])
        found = self._classifier.features(padded, [self._layer])[self._layer]
        return [part.contiguous() for part in found[: len(pictures)]]


def layer_maps(classifier: Classifier, layer: str) -> LayerMaps:
    """Return how a recipe names the maps of a layer."""
    return LayerMaps(classifier.name, classifier.weights_id, classifier.resolve(layer))


def map_shape(classifier: Classifier, layer: str) -> tuple[int, int, int]:
    """Return ``(C, H, W)`` of a layer's map at the network's native size.

    Raises:
        InputError: an unknown layer, or one whose output is no map.
    """
    shape = classifier.shape(layer, classifier.native_size)
    if len(shape) != 3:
        raise InputError(f"layer {layer!r} of {classifier.name} gives no map but {shape}; valid: a layer of maps")
    return shape[0], shape[1], shape[2]


def default_patch_size(classifier: Classifier, layer: str) -> int:
    """Return the usual patch size on a layer: the window of its last convolution or pooling on the layer before.

    It is the side of the kernel (with its dilation) of the last operation that sees more than one position, and at
    least 2. Where branches join, the branch with the largest receptive field counts. It is 5 for conv2/lin and
    conv2/relu of AlexNet.

    Raises:
        InputError: an unknown layer, or one whose output is no map.

    Source: thesis 5.1, "the receptive field size in the previous layer".
    """
    map_shape(classifier, layer)
    return max(2, classifier.window_size(layer))


def map_short_side(classifier: Classifier) -> int:
    """Return the usual shorter side of the pictures that a layer's prior is trained on: the native one, at least 64."""
    return max(_SMALLEST_SIDE, classifier.native_size)
