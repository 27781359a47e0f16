from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.networks import network_entries, network_names, open_network, outline_network
from restoration_core.networks.bundled.cifar_alexnet import MEAN, STD, CifarAlexNet
from restoration_core.networks.catalogue import BUNDLED

CIFAR_LAYERS = [
    *("conv1/lin", "conv1/relu", "lrn1", "pool1", "conv2/lin", "conv2/relu", "lrn2", "pool2"),
    *("conv3/lin", "conv3/relu", "conv4/lin", "conv4/relu", "conv5/lin", "conv5/relu", "pool5"),
    *("fc6/lin", "fc6/relu", "fc7/lin", "fc7/relu", "fc8/lin", "softmax"),
]


def test_the_bundled_network_has_alexnets_layers_and_the_accuracy_in_its_header() -> None:
    assert list(open_network().layers) == CIFAR_LAYERS
    with safe_open(BUNDLED, "pt") as file:
        accuracy = float(file.metadata()["test_accuracy"])
    assert accuracy >= 0.80
    assert f"{100 * accuracy:.2f} %" in BUNDLED.with_suffix(".md").read_text()


def test_the_bundled_probabilities_are_those_of_its_file_in_a_network_of_torchs_own_layers() -> None:
    state = load_file(BUNDLED)
    sizes = {"conv1": 5, "conv2": 3, "conv3": 3, "conv4": 3, "conv5": 3}
    z = x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    z = (z - torch.tensor(MEAN).reshape(1, 3, 1, 1)) / torch.tensor(STD).reshape(1, 3, 1, 1)
    for name, kernel in sizes.items():
        z = F.conv2d(z, state[f"{name}.weight"], state[f"{name}.bias"], padding=kernel // 2).relu()
        if name in ("conv1", "conv2"):
            z = F.local_response_norm(z, 5, alpha=0.05, beta=0.75, k=1.0)
        if name in ("conv1", "conv2", "conv5"):
            z = F.max_pool2d(z, 3, 2, padding=1)
    z = z.flatten(1)
    for name in ("fc6", "fc7"):
        z = F.linear(z, state[f"{name}.weight"], state[f"{name}.bias"]).relu()
    expected = F.linear(z, state["fc8.weight"], state["fc8.bias"]).softmax(1)
    torch.testing.assert_close(open_network().features(x, ["softmax"])["softmax"], expected, atol=1e-5, rtol=1e-4)


def test_alexnet_has_the_thesis_layers_with_the_geometry_mv16_tabulates() -> None:
    network = outline_network("alexnet")
    assert list(network.layers) == [name for name in CIFAR_LAYERS if not name.startswith("lrn")]
    fields = {"conv1/lin": 11, "pool1": 19, "conv2/lin": 51, "pool2": 67, "conv3/relu": 99, "conv4/relu": 131}
    fields |= {"conv5/relu": 163, "pool5": 195, "fc6/lin": 355, "fc8/lin": 355}
    assert {layer: network.receptive_field(layer) for layer in fields} == fields
    strides = {"conv1/lin": 4, "pool1": 8, "conv2/relu": 8, "pool2": 16, "conv5/relu": 16, "pool5": 32, "fc7/relu": 32}
    assert {layer: network.stride(layer) for layer in strides} == strides
    assert network.shape("conv4/relu", 224) == (256, 13, 13)
    assert network.resolve("features.8") == "conv4/lin"
    assert network.native_size == 224
    assert network.mean == (0.485, 0.456, 0.406)


def test_vgg16_layers_are_named_by_stage() -> None:
    from torchvision.models import vgg16

    from restoration_core.networks.layer_names.thesis_layers import sequential_layers

    with torch.device("meta"):
        module = vgg16()
    names = sequential_layers(module.features, module.classifier)
    stages = [(1, 2), (2, 2), (3, 3), (4, 3), (5, 3)]
    expected = []
    for stage, count in stages:
        expected += [f"conv{stage}_{i}/{role}" for i in range(1, count + 1) for role in ("lin", "relu")]
        expected.append(f"pool{stage}")
    assert list(names) == [*expected, "fc6/lin", "fc6/relu", "fc7/lin", "fc7/relu", "fc8/lin"]


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18", "mobilenet_v3_small"])
def test_other_torchvision_networks_keep_their_function_under_any_names(name: str) -> None:
    from torchvision import models

    network = open_network(name, "random", seed=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        reference = models.get_model(name, weights=None).eval()
    x = torch.rand(2, 3, 64, 64)
    z = (x - torch.tensor(network.mean).reshape(1, 3, 1, 1)) / torch.tensor(network.std).reshape(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(network.features(x, ["softmax"])["softmax"], reference(z).softmax(1))
    for path, module in reference.named_modules():
        if path and not isinstance(module, torch.nn.Dropout | torch.nn.Identity):
            network.resolve(path)


def test_networks_of_other_builds_list_their_module_paths() -> None:
    network = outline_network("mobilenet_v3_small")
    assert all(layer.partition(":")[0] in dict(network.module.named_modules()) for layer in network.layers)
    assert "features.0.0" in network.layers


@pytest.mark.parametrize("name", ["googlenet", pytest.param("inception_v3", marks=pytest.mark.slow)])
def test_networks_trained_on_another_scale_get_it(name: str) -> None:
    network = outline_network(name)
    seen: list[torch.Tensor] = []
    first = next(part for part in network.module.modules() if isinstance(part, torch.nn.Conv2d))
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.rand(1, 3, network.native_size, network.native_size)
    network.features(x, [network.layers[0]])
    # torchvision's own documentation of these two: the weights were trained on pictures in [-1, 1].
    torch.testing.assert_close(seen[0], 2 * x - 1, atol=1e-5, rtol=0)


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = open_network("cifar_alexnet", "random", seed=1)
    outline_network("squeezenet1_1")
    assert torch.equal(torch.rand(3), expected)
    assert open_network("cifar_alexnet", "random", seed=1).weights_id == first.weights_id
    assert open_network("cifar_alexnet", "random", seed=2).weights_id != first.weights_id


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_come_from_a_file(tmp_path: Path, suffix: str) -> None:
    source = open_network("cifar_alexnet", "random", seed=4)
    path = tmp_path / f"w{suffix}"
    state = {key: value.contiguous() for key, value in source.module.state_dict().items()}
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    assert open_network("cifar_alexnet", str(path)).weights_id == source.weights_id


def test_imagenet_weights_come_from_torchs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    module = squeezenet1_1()
    torch.save(module.state_dict(), checkpoints / Path(SqueezeNet1_1_Weights.IMAGENET1K_V1.url).name)
    for weights in ("imagenet", "IMAGENET1K_V1"):
        loaded = open_network("squeezenet1_1", weights).module.state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in module.state_dict().items())


def test_unknown_networks_and_weights_are_refused() -> None:
    with pytest.raises(InputError, match="unknown network 'alexnt'; did you mean 'alexnet'"):
        open_network("alexnt")
    with pytest.raises(InputError, match="unknown weights for cifar_alexnet 'imagenet'"):
        open_network("cifar_alexnet", "imagenet")
    with pytest.raises(InputError, match="unknown weights for alexnet 'bundled'"):
        open_network("alexnet", "bundled")


def test_the_catalogue_names_each_network_once_with_what_it_takes() -> None:
    entries = {entry.name: entry for entry in network_entries()}
    assert list(entries) == network_names()
    assert {"alexnet", "vgg16", "resnet50", "inception_v3", "squeezenet1_0"} <= set(entries)
    assert entries["cifar_alexnet"].parameters == sum(p.numel() for p in CifarAlexNet().parameters())
    assert entries["inception_v3"].native_size == 299
    readable = {name for name, entry in entries.items() if entry.thesis_names}
    assert {"vgg16", "resnet50", "inception_v3", "squeezenet1_1", "caffe_alexnet", "wide_resnet50_2"} <= readable
    assert not {"mobilenet_v3_small", "googlenet", "vit_b_16"} & readable
    assert entries["caffe_alexnet"].parameters == 60_965_224


@pytest.mark.slow
def test_opening_the_bundled_network_imports_neither_torchvision_nor_torchs_compiler() -> None:
    code = (
        "import sys; from restoration_core.networks import open_network; n = open_network(); n.shape('pool5', 64);"
        "print([m for m in ('torchvision', 'torch._dynamo') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
