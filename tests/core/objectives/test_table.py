"""Constants per layer against the published tables."""

from __future__ import annotations

import pytest

from restoration_core.networks import Classifier, open_network, outline_network
from restoration_core.objectives.table import FEATURE_WEIGHT, MV2015_TOTAL_VARIATION, THESIS_JITTER, mv_jitter


@pytest.fixture(scope="module")
def vgg16() -> Classifier:
    return outline_network("vgg16")


@pytest.mark.parametrize(
    ("layer", "weight"),
    [("conv1/relu", 300), ("pool2", 300), ("conv3/relu", 300), ("conv4/lin", 100), ("conv5/relu", 20), ("pool5", 1)],
)
def test_feature_weights_of_alexnet_are_the_published_ones(alexnet: Classifier, layer: str, weight: float) -> None:
    assert FEATURE_WEIGHT.at(alexnet, layer) == weight


@pytest.mark.parametrize(
    ("layer", "weight"),
    [
        ("conv1_1/lin", 300),
        ("pool3", 300),
        ("conv4_3/relu", 300),
        ("pool4", 100),
        ("conv5_1/relu", 100),
        ("conv5_2/lin", 20),
        ("conv5_3/relu", 20),
        ("pool5", 1),
        ("fc8/lin", 1),
    ],
)
def test_feature_weights_of_vgg16_are_the_published_ones(vgg16: Classifier, layer: str, weight: float) -> None:
    assert FEATURE_WEIGHT.at(vgg16, layer) == weight


def test_caffes_alexnet_goes_by_the_same_names() -> None:
    network = outline_network("caffe_alexnet")
    weights = {layer: FEATURE_WEIGHT.at(network, layer) for layer in ("lrn2", "conv3/relu", "conv5/lin", "pool5")}
    assert weights == {"lrn2": 300, "conv3/relu": 300, "conv5/lin": 20, "pool5": 1}
    assert THESIS_JITTER.at(network, "lrn2") == 2


@pytest.mark.parametrize(("layer", "jitter"), [("conv1/relu", 1), ("conv2/relu", 2), ("conv4/relu", 4), ("pool5", 8)])
def test_jitter_of_alexnet_is_a_quarter_of_the_stride(alexnet: Classifier, layer: str, jitter: int) -> None:
    assert mv_jitter(alexnet, layer) == jitter


@pytest.mark.parametrize(
    ("layer", "shift"), [("pool1", 1), ("conv2/lin", 2), ("pool2", 4), ("conv5/relu", 4), ("pool5", 8), ("fc8/lin", 8)]
)
def test_shifts_of_the_thesis_authors_code_in_alexnet(alexnet: Classifier, layer: str, shift: int) -> None:
    assert THESIS_JITTER.at(alexnet, layer) == shift


def test_shifts_are_in_pixels_so_a_small_network_with_alexnets_names_goes_by_its_own_strides() -> None:
    network = open_network()
    assert network.stride("conv4/relu") == 4
    assert THESIS_JITTER.at(network, "conv4/relu") == 1


def test_depth_of_mv15s_variation_follows_its_three_groups_of_layers(alexnet: Classifier) -> None:
    weights = [MV2015_TOTAL_VARIATION.at(alexnet, layer) for layer in alexnet.layers]
    assert weights == sorted(weights)
    groups = {"conv2/relu": 1, "pool2": 10, "conv4/relu": 10, "conv5/lin": 100, "fc8/lin": 100}
    assert {layer: MV2015_TOTAL_VARIATION.at(alexnet, layer) for layer in groups} == groups


def test_other_networks_go_by_stride() -> None:
    classifier = outline_network("squeezenet1_1")
    for stride, weight, variation in ((2, 300, 1), (8, 300, 1), (16, 100, 10)):
        layer = next(layer for layer in classifier.layers if classifier.stride(layer) == stride)
        assert FEATURE_WEIGHT.at(classifier, layer) == weight
        assert MV2015_TOTAL_VARIATION.at(classifier, layer) == variation
