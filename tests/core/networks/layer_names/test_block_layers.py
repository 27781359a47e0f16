from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from restoration_core.networks import Classifier, open_network, outline_network


def affine(network: Classifier, x: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (network.mean, network.std))
    return (x - mean) / std


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_resnet_names_hold_what_their_words_say(x: Tensor) -> None:
    network = open_network("resnet18", "random", seed=1)
    m = network.module
    block = m.layer2[0]
    stem = m.bn1(m.conv1(affine(network, x)))
    before = m.layer1(F.max_pool2d(stem.relu(), 3, 2, padding=1))
    first = block.bn1(block.conv1(before))
    second = block.bn2(block.conv2(first.relu()))
    shortcut = block.downsample(before)
    expected = {
        "conv1/lin": m.conv1(affine(network, x)),
        "conv1/bn": stem,
        "conv1/relu": stem.relu(),
        "layer1.1": before,
    }
    expected |= {"layer2.0/conv1/bn": first, "layer2.0/conv1/relu": first.relu(), "layer2.0/conv2/bn": second}
    expected |= {"layer2.0/shortcut/bn": shortcut, "layer2.0": (second + shortcut).relu()}
    found = network.features(x, expected)
    for layer, value in expected.items():
        torch.testing.assert_close(found[layer], value, msg=layer)


def test_resnets_list_blocks_in_forward_order_and_take_every_module_path() -> None:
    network = outline_network("resnet50")
    blocks = [f"layer{stage}.{i}" for stage, count in enumerate((3, 4, 6, 3), 1) for i in range(count)]
    plain = [layer for layer in network.layers if "/" not in layer]
    assert plain == ["pool1", *blocks, "avgpool", "softmax"]
    inside = [layer.removeprefix("layer2.0") for layer in network.layers if layer.startswith("layer2.0")]
    bottleneck = [f"/conv{i}/{role}" for i in (1, 2, 3) for role in ("lin", "bn", "relu")][:-1]
    assert inside == [*bottleneck, "/shortcut/lin", "/shortcut/bn", ""]
    assert not any(layer.startswith("layer2.1/shortcut") for layer in network.layers)
    assert network.resolve("layer2") == network.resolve("layer2.3.relu:3") == "layer2.3"
    assert network.resolve("layer1.0.relu:2") == "layer1.0/conv2/relu"
    assert network.resolve("maxpool") == "pool1"
    assert network.shape("layer3.5", 224) == (1024, 14, 14)


@pytest.mark.parametrize(
    ("name", "order", "path"),
    [
        (
            "squeezenet1_0",
            "conv1 pool1 fire2 fire3 fire4 pool4 fire5 fire6 fire7 fire8 pool8 fire9 conv10",
            "features.4",
        ),
        (
            "squeezenet1_1",
            "conv1 pool1 fire2 fire3 pool3 fire4 fire5 pool5 fire6 fire7 fire8 fire9 conv10",
            "features.4",
        ),
    ],
)
def test_squeezenet_is_numbered_as_in_its_paper(name: str, order: str, path: str) -> None:
    network = outline_network(name)
    stages = list(dict.fromkeys(layer.partition("/")[0] for layer in network.layers))
    assert stages == [*order.split(), "pool10", "softmax"]
    fire = ["squeeze/lin", "squeeze/relu", "expand1x1/lin", "expand1x1/relu", "expand3x3/lin", "expand3x3/relu"]
    assert [layer for layer in network.layers if layer.startswith("fire2")] == [*(f"fire2/{n}" for n in fire), "fire2"]
    assert network.resolve("fire2/expand") == network.resolve("features.3") == "fire2"
    assert network.resolve("features.4") == "fire3"
    assert "fire2/expand" not in network.layers


def test_a_fire_modules_output_joins_both_expansions(x: Tensor) -> None:
    network = open_network("squeezenet1_1", "random", seed=2)
    found = network.features(x, ["fire3", "fire3/expand1x1/relu", "fire3/expand3x3/relu", "fire3/expand", "features.4"])
    joined = torch.cat([found["fire3/expand1x1/relu"], found["fire3/expand3x3/relu"]], 1)
    torch.testing.assert_close(found["fire3"], joined)
    assert torch.equal(found["fire3"], found["fire3/expand"])
    assert torch.equal(found["fire3"], found["features.4"])


def test_inception_names_its_stem_blocks_and_branches_and_leaves_the_side_classifier_out() -> None:
    network = outline_network("inception_v3")
    blocks = [layer for layer in network.layers if "/" not in layer]
    letters = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
    assert blocks == ["pool1", "pool2", *(f"mixed_{name}" for name in letters), "avgpool", "softmax"]
    assert network.layers[:3] == ("conv1a/lin", "conv1a/bn", "conv1a/relu")
    assert "mixed_6b/branch7x7dbl_5/relu" in network.layers
    assert not any(path.lower().startswith("aux") for path, _ in network.module.named_modules())
    assert network.resolve("Mixed_5b") == "mixed_5b"
    assert network.resolve("Conv2d_1a_3x3") == "conv1a/relu"
    # Szegedy et al. 2016, table 1: 35 x 35 x 288, 17 x 17 x 768, 8 x 8 x 2048 for pictures of 299 px.
    assert network.native_size == 299
    shapes = {"mixed_5d": (288, 35, 35), "mixed_6e": (768, 17, 17), "mixed_7c": (2048, 8, 8), "fc/lin": (1000,)}
    assert {layer: network.shape(layer, 299) for layer in shapes} == shapes


@pytest.mark.slow
def test_inceptions_taps_and_probabilities_are_torchvisions() -> None:
    network = open_network("inception_v3", "random", seed=1)
    m = network.module
    x = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    z = 2 * x - 1  # what torchvision documents for these weights
    stem = m.Conv2d_1a_3x3
    linear = stem.conv(z)
    normal = stem.bn(linear)
    block = m.maxpool2(m.Conv2d_4a_3x3(m.Conv2d_3b_1x1(m.maxpool1(m.Conv2d_2b_3x3(m.Conv2d_2a_3x3(normal.relu()))))))
    expected = {"conv1a/lin": linear, "conv1a/bn": normal, "conv1a/relu": normal.relu(), "mixed_5b": m.Mixed_5b(block)}
    expected["mixed_5b/branch5x5_1/relu"] = m.Mixed_5b.branch5x5_1(block)
    found = network.features(x, [*expected, "softmax"])
    for layer, value in expected.items():
        torch.testing.assert_close(found[layer], value, msg=layer, atol=1e-4, rtol=1e-4)
    assert found["softmax"].sum(1).tolist() == pytest.approx([1, 1])


@pytest.mark.slow
def test_weights_with_and_without_side_classifiers_both_fit(tmp_path: Path) -> None:
    module = open_network("googlenet", "random", seed=1).module
    state = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    side = {"aux1.fc2.weight": torch.ones(1), "AuxLogits.conv0.bn.bias": torch.ones(1)}
    for name, tensors in (("without", state), ("with", state | side)):
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path)
        opened = open_network("googlenet", str(path)).module.state_dict()
        assert all(torch.equal(opened[key], tensor) for key, tensor in state.items())
