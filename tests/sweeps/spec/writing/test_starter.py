"""The commented spec to begin with is valid as it is written, for any network."""

from __future__ import annotations

import pytest

from restoration_core.errors import InputError
from sweeps.spec.load import parse_spec
from sweeps.spec.writing.starter import starter


def test_the_bundled_network_needs_nothing_else() -> None:
    spec = parse_spec(starter("mine"))
    assert (spec.name, spec.network.name, spec.network.weights) == ("mine", "cifar_alexnet", "bundled")
    assert set(spec.images).isdisjoint(spec.validate_on)


def test_the_pictures_of_the_verdict_are_more_than_those_of_the_search() -> None:
    spec = parse_spec(starter("mine"))
    assert len(spec.validate_on) > len(spec.images)


@pytest.mark.parametrize(("network", "layer", "size"), [("alexnet", None, 224), ("vgg16", "conv2_2/relu", 224)])
def test_another_network_gets_its_own_size_and_a_layer_with_a_map(network: str, layer: str | None, size: int) -> None:
    spec = parse_spec(starter("mine", network, layer))
    assert (spec.network.name, spec.network.weights, spec.image_size) == (network, "imagenet", size)
    assert layer is None or spec.layers == (layer,)


def test_a_network_of_ones_own_is_written_as_a_module(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parse_spec(starter("mine", "torchvision.models:squeezenet1_1"))
    assert spec.network.is_own_module
    assert spec.network.weights == "factory"


def test_an_unknown_network_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown network 'alexnett'; did you mean 'alexnet'\?"):
        starter("mine", "alexnett")
