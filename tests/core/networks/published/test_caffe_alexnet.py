"""Caffe's AlexNet against torch's own functions, and its published tensors in every order they go around in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network, outline_network
from restoration_core.networks.building import WithoutDrawing, seeded
from restoration_core.networks.published.caffe_alexnet import CaffeAlexNet
from restoration_core.networks.published.published_tensors import load_published

pytestmark = pytest.mark.slow

LAYERS = [f"conv{i}" for i in range(1, 6)] + ["fc6", "fc7", "fc8"]


@pytest.fixture(scope="module")
def network() -> Classifier:
    return open_network("caffe_alexnet", "random", seed=1)


def test_it_is_caffes_network_on_blue_green_red_pictures_of_0_to_255_less_the_mean(network: Classifier) -> None:
    w = network.module.state_dict()
    x = torch.rand(2, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    # Caffe's deployment: channels swapped, raw scale 255, the mean pixel of ILSVRC-2012 subtracted.
    z = x[:, [2, 1, 0]] * 255 - torch.tensor([104.00698793, 116.66876762, 122.67891434]).reshape(1, 3, 1, 1)
    expected: dict[str, Tensor] = {}
    options = {1: (4, 0, 1), 2: (1, 2, 2), 3: (1, 1, 1), 4: (1, 1, 2), 5: (1, 1, 2)}
    for i, (stride, padding, groups) in options.items():
        z = F.conv2d(z, w[f"conv{i}.weight"], w[f"conv{i}.bias"], stride, padding, groups=groups)
        expected[f"conv{i}/lin"] = z
        expected[f"conv{i}/relu"] = z = z.relu()
        if i <= 2:
            expected[f"lrn{i}"] = z = F.local_response_norm(z, 5, alpha=1e-4, beta=0.75, k=1.0)
        if i in (1, 2, 5):
            expected[f"pool{i}"] = z = F.max_pool2d(z, 3, 2, ceil_mode=True)
    z = z.flatten(1)
    for i in (6, 7, 8):
        expected[f"fc{i}/lin"] = z = F.linear(z, w[f"fc{i}.weight"], w[f"fc{i}.bias"])
        if i < 8:
            expected[f"fc{i}/relu"] = z = z.relu()
    expected["softmax"] = z.softmax(1)
    assert list(network.layers) == list(expected)
    found = network.features(x, expected)
    for layer, value in expected.items():
        torch.testing.assert_close(found[layer], value, rtol=1e-4, atol=1e-4 * float(value.abs().max()), msg=layer)


def test_its_geometry_is_what_mv16_tabulates() -> None:
    network = outline_network("caffe_alexnet")
    fields = {"conv1/lin": 11, "pool1": 19, "conv2/lin": 51, "pool2": 67, "conv3/lin": 99, "conv4/relu": 131}
    fields |= {"conv5/relu": 163, "pool5": 195, "fc6/lin": 355, "fc8/lin": 355}
    assert {layer: network.receptive_field(layer) for layer in fields} == fields
    assert {network.stride(layer) for layer in ("pool5", "fc8/lin")} == {32}
    assert network.shape("conv1/lin", 227) == (96, 55, 55)
    assert network.shape("pool5", 227) == (256, 6, 6)
    assert network.shape("pool1", 224) == (96, 27, 27)  # 54 positions: Caffe's pooling rounds up


class Small(nn.Module):
    """The same parameters by name and order, a few of each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, (5, 7)), nn.Conv2d(4, 6, 3, groups=2)
        self.conv3, self.conv4, self.conv5 = nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3, groups=2), nn.Conv2d(6, 8, 3)
        self.fc6, self.fc7, self.fc8 = nn.Linear(8 * 6, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.fc6_input = (8, 2, 3)


def written(small: Small, how: str) -> dict[str, Tensor]:
    """Its tensors as one kind of publisher writes them."""
    found: dict[str, Tensor] = {}
    for layer in LAYERS:
        weight, bias = (small.get_parameter(f"{layer}.{kind}").detach() for kind in ("weight", "bias"))
        if how == "old caffe blobs":
            found[f"{layer}/0"] = weight if weight.ndim == 4 else weight[None, None]
            found[f"{layer}/1"] = bias[None, None, None]
            continue
        if how in ("tensorflow", "matconvnet") and weight.ndim == 4:
            weight = weight.permute(2, 3, 1, 0)  # height, width, in, out
        elif how == "tensorflow":
            if layer == "fc6":  # its input is flattened with the channels last
                weight = weight.unflatten(1, small.fc6_input).permute(0, 2, 3, 1).flatten(1)
            weight = weight.T
        elif how == "matconvnet":
            shape = small.fc6_input if layer == "fc6" else (weight.shape[1], 1, 1)
            weight = weight.unflatten(1, shape).permute(2, 3, 1, 0)
        if how == "matconvnet" and layer == "conv1":
            weight = weight.flip(2)  # red first
        names = {"pytorch": (".weight", ".bias"), "caffe2": ("_w", "_b"), "tensorflow": ("/weights:0", "/biases:0")}
        names |= {"matconvnet": ("f", "b"), "parallel": (".weight", ".bias"), "upper": ("/W", "/b")}
        prefix = "module." if how == "parallel" else ""
        found[f"{prefix}{layer}{names[how][0]}"] = weight
        found[f"{prefix}{layer}{names[how][1]}"] = bias
    return {key: value.contiguous() for key, value in found.items()}


@pytest.mark.parametrize(
    "how", ["pytorch", "caffe2", "old caffe blobs", "tensorflow", "matconvnet", "parallel", "upper"]
)
def test_every_published_order_gives_the_same_network(how: str) -> None:
    with seeded(0):
        source = Small()
        target = Small()
    load_published(target, written(source, how), "w.npz")
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_published_tensors_of_half_precision_are_opened_from_a_file(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in CaffeAlexNet().state_dict().items()}
    state = {key: torch.zeros(shape, dtype=torch.float16) for key, shape in shapes.items()}
    state["conv1.weight"] = torch.rand(96, 3, 11, 11, generator=torch.Generator().manual_seed(0)).half()
    state["fc8.bias"] = torch.arange(1000.0).half()
    names = {key: key.replace(".weight", "_w").replace(".bias", "_b") for key in state}
    save_file({names[key]: value for key, value in state.items()}, tmp_path / "w.safetensors")
    opened = open_network("caffe_alexnet", str(tmp_path / "w.safetensors")).module.state_dict()
    assert all(torch.equal(opened[key], value.float()) for key, value in state.items())


def test_tensors_that_do_not_fit_tell_keys_and_shapes_in_one_line(tmp_path: Path) -> None:
    with WithoutDrawing(), torch.device("meta"):
        shapes = {key: value.shape for key, value in CaffeAlexNet().state_dict().items() if key.startswith("conv")}
    state = {key.replace(".", "_"): torch.zeros(1).expand(shape) for key, shape in shapes.items()}
    del state["conv3_bias"]
    state |= {"conv1_weight": torch.zeros(64, 3, 11, 11), "fc6_w": torch.zeros(10, 9216), "scale": torch.zeros(1)}
    path = tmp_path / "w.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    with pytest.raises(InputError) as caught:
        open_network("caffe_alexnet", str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert "missing conv3.bias, fc6.bias, fc7.bias, fc7.weight and 2 more; unknown scale; shapes differ: " in message
    assert "conv1.weight (64, 3, 11, 11) instead of (96, 3, 11, 11)" in message
    assert "fc6.weight (10, 9216) instead of (4096, 9216)" in message


def test_two_tensors_for_one_parameter_are_refused() -> None:
    tensors = written(Small(), "pytorch") | {"conv1_w": torch.zeros(4, 3, 5, 7)}
    with pytest.raises(InputError, match=r"several tensors for conv1\.weight: conv1\.weight, conv1_w"):
        load_published(Small(), tensors, "w.npz")


def test_it_has_no_weights_of_its_own() -> None:
    with pytest.raises(InputError, match="caffe_alexnet needs weights; valid: random, or a path"):
        open_network("caffe_alexnet")
    with pytest.raises(InputError, match="unknown weights for caffe_alexnet 'imagenet'; valid: random, or a path"):
        open_network("caffe_alexnet", "imagenet")
