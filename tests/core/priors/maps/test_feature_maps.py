"""Feature maps as a source: they are those of the network, in any batches; and the usual patch sizes of layers."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network, outline_network
from restoration_core.priors.maps.feature_maps import FeatureMaps, default_patch_size
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.maps.source import LayerMaps, check_source


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return open_network("cifar_alexnet")


def photographs() -> Photographs:
    generator = torch.Generator().manual_seed(0)
    sizes = [(20, 24), (20, 24), (32, 20), (20, 24), (20, 24)]
    return Photographs("sha256:noise", [torch.rand(3, *size, generator=generator) for size in sizes])


@pytest.mark.parametrize("layer", ["conv1/lin", "pool1", "conv3/relu"])
def test_maps_are_those_of_the_network(classifier: Classifier, layer: str) -> None:
    pictures = photographs()
    source = FeatureMaps(classifier, layer, pictures)
    assert len(source) == 5
    assert source.layer_maps == LayerMaps("cifar_alexnet", classifier.weights_id, layer)
    found = source.maps(range(5))
    for one, picture, size in zip(found, pictures.pictures, source.sizes, strict=True):
        expected = classifier.features(picture[None], [layer])[layer][0]
        torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5)
        assert one.shape == (source.channels, *size)


def test_maps_asked_for_alone_are_bitwise_those_asked_for_together(classifier: Classifier) -> None:
    source = FeatureMaps(classifier, "conv2/relu", photographs())
    together = source.maps([3, 0, 2])
    for index, one in zip([3, 0, 2], together, strict=True):
        assert torch.equal(source.maps([index])[0], one)


def test_a_layer_without_a_map_and_maps_as_pictures_are_refused(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="layer 'fc6/lin' of cifar_alexnet gives no map"):
        FeatureMaps(classifier, "fc6/lin", photographs())
    with pytest.raises(InputError, match="pictures are needed, but got maps of pool1 of cifar_alexnet"):
        FeatureMaps(classifier, "conv1/lin", FeatureMaps(classifier, "pool1", photographs()))


def test_maps_of_another_layer_than_the_recipe_names_are_refused(classifier: Classifier) -> None:
    wanted = LayerMaps("cifar_alexnet", classifier.weights_id, "conv2/relu")
    source = FeatureMaps(classifier, "conv2/lin", photographs())
    with pytest.raises(InputError, match=r"conv2/relu of cifar_alexnet \(weights .*\) are needed .* got conv2/lin"):
        check_source(wanted, "sha256:noise", source)
    with pytest.raises(InputError, match="needed by the recipe, but got the pictures themselves"):
        check_source(wanted, "sha256:noise", photographs())


# The kernel of the last operation over several positions; what acts on single positions after it does not count.
@pytest.mark.parametrize(
    ("network", "layer", "size"),
    [
        ("cifar_alexnet", "conv1/lin", 5),
        ("cifar_alexnet", "lrn1", 5),
        ("cifar_alexnet", "pool1", 3),
        ("cifar_alexnet", "conv2/relu", 3),
        ("cifar_alexnet", "conv5/relu", 3),
        ("alexnet", "conv1/relu", 11),
        ("alexnet", "conv2/lin", 5),
        ("alexnet", "conv3/relu", 3),
        ("alexnet", "pool5", 3),
        ("vgg16", "conv1_1/relu", 3),
        ("vgg16", "conv3_3/lin", 3),
        ("vgg16", "pool3", 2),
        # Where branches join, the kernel of the branch with the largest receptive field counts.
        ("resnet18", "layer2.0/shortcut/lin", 3),
        ("resnet18", "layer2.0", 3),
        ("resnet50", "layer2.0", 3),
        ("squeezenet1_0", "fire3", 3),
        ("inception_v3", "mixed_5b", 5),
        ("inception_v3", "mixed_6b", 7),  # 1 x 7 behind 7 x 1
    ],
)
def test_patch_size_is_the_receptive_field_in_the_layer_before(network: str, layer: str, size: int) -> None:
    assert default_patch_size(outline_network(network), layer) == size
