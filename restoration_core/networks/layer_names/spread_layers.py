"""A network's layers for a measure that should see a picture at every scale."""

from __future__ import annotations

from torch import nn

from restoration_core.errors import InputError
from restoration_core.networks.classifier import Classifier

MOST_LAYERS = 5
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


def spread_layers(classifier: Classifier, size: int) -> tuple[str, ...]:
    """Return the first activation at each stride of the network, at most five, for pictures of ``size x size``.

    ``conv1_1/relu conv2_1/relu ... conv5_1/relu`` of VGG, ``conv1/relu conv2/relu conv3/relu`` of AlexNet. Only maps
    with several positions count; where a network has no activation under a name, the first map at each stride.

    Args:
        classifier: the network.
        size: side of the pictures in pixels; layers that do not take it are left out.
    """
    maps = [layer for layer in classifier.layers if len(classifier.shape(layer, classifier.native_size)) == 3]
    fitting = [layer for layer in maps if _positions(classifier, layer, size) > 1]
    first: dict[int, str] = {}
    for layer in [layer for layer in fitting if _is_activation(classifier, layer)] or fitting:
        first.setdefault(classifier.stride(layer), layer)
    return tuple(first.values())[:MOST_LAYERS]


def _positions(classifier: Classifier, layer: str, size: int) -> int:
    try:
        _, height, width = classifier.shape(layer, size)
    except InputError:
        return 0
    return height * width


def _is_activation(classifier: Classifier, layer: str) -> bool:
    if layer.endswith("/relu"):
        return True
    try:
        module = classifier.module.get_submodule(layer.partition(":")[0])
    except AttributeError:  # a readable name
        return False
    return isinstance(module, _ACTIVATIONS)
