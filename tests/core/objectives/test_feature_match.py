"""Targets of the feature match."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import open_network
from restoration_core.objectives import feature_targets


def test_targets_are_the_networks_maps_of_that_picture_without_a_graph() -> None:
    classifier = open_network()
    image = torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(1))
    targets = feature_targets(classifier, image, ["conv1/relu", "pool2"])
    direct = classifier.features(image[None], ["conv1/relu", "pool2"])
    for layer, target in targets.items():
        torch.testing.assert_close(target, direct[layer][0])
        assert not target.requires_grad


def test_a_batch_instead_of_a_picture_is_refused() -> None:
    with pytest.raises(InputError, match=r"image: shape \(1, 3, 8, 8\); valid: \(3, height, width\)"):
        feature_targets(open_network(), torch.rand(1, 3, 8, 8), ["pool1"])
