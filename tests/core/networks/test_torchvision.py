"""Every classifier of torchvision opens, follows each picture and is reconstructed at an early and a late layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, network_names, outline_network
from restoration_core.reconstruction import FeatureMatch, Problem, solve

ONE_SIZE = dict.fromkeys(("vit_b_16", "vit_b_32", "maxvit_t"), 224)
"""Side in pixels of networks that take no other."""
TOO_LARGE = {"regnet_y_128gf", "vit_h_14", "vit_l_16", "vit_l_32"}
"""300 million parameters and more (6 to 20 s each); `regnet_y_32gf` and `vit_b_16` are of the same build."""
NAMES = sorted(set(network_names()) - {"cifar_alexnet", "caffe_alexnet"} - TOO_LARGE)


def some_weights(network: Classifier) -> None:
    """Fill what an outline leaves undefined: one short pattern again and again, because drawing all takes seconds."""
    pattern = torch.randn(4093, generator=torch.Generator().manual_seed(0))
    for module in network.module.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                flat = pattern.repeat(-(-parameter.numel() // len(pattern)))[: parameter.numel()]
                parameter.copy_(flat.reshape(parameter.shape)).mul_(0.5 * parameter[0].numel() ** -0.5)
            elif name == "bias" and isinstance(module, nn.Conv2d | nn.Linear):
                parameter.zero_()


def takes(network: Classifier, layer: str, size: int) -> bool:
    try:
        return len(network.shape(layer, size)) > 0
    except InputError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_classifier_is_cut_open_and_reconstructed_at_an_early_and_a_late_layer(name: str) -> None:
    network = outline_network(name)
    size = ONE_SIZE.get(name, 80 if name == "inception_v3" else 64)
    some_weights(network)
    x = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    fitting = [layer for layer in network.layers if takes(network, layer, size)]
    for layer in (fitting[1], fitting[-2]):
        maps = network.features(x[:2], [layer])[layer]
        torch.testing.assert_close(maps[1], network.features(x[1:], [layer])[layer][0], rtol=1e-3, atol=1e-5)
        (result,) = solve(network, [Problem((FeatureMatch(layer, maps[0]),), iterations=2)], size)
        assert result.iterations == 2
        assert math.isfinite(result.losses["objective"])
