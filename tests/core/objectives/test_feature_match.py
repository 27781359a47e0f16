"""The normalised feature loss against its definition."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import open_network
from restoration_core.objectives import feature_loss, feature_targets


def test_loss_is_the_squared_ratio_of_the_hand_computed_norms() -> None:
    target = torch.tensor([3.0, 4.0])
    features = torch.tensor([[3.0, 4.0], [0.0, 0.0], [3.0, 3.0], [6.0, 8.0]])
    torch.testing.assert_close(feature_loss(features, target), torch.tensor([0.0, 1.0, 1 / 25, 1.0]))


def test_loss_takes_maps_and_one_target_per_row() -> None:
    generator = torch.Generator().manual_seed(0)
    features, target = (torch.rand(2, 3, 4, 4, generator=generator) for _ in range(2))
    expected = [(features[b] - target[b]).norm() ** 2 / target[b].norm() ** 2 for b in range(2)]
    torch.testing.assert_close(feature_loss(features, target), torch.stack(expected))


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
