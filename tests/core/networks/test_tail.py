"""The layers behind one as a network of their own: the same functions, and refused where they are none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from restoration_core.networks.tail import cut_tail

SIZE = 40


class Residual(nn.Module):
    """A stem, a block with a shortcut around two convolutions that share an activation, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.first = nn.Conv2d(6, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(6, 4, 3)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.relu(self.first(x))
        y = self.second(y)
        y += x
        return self.last(self.head(self.pool(self.relu(y))))


@pytest.fixture(scope="module")
def residual() -> Classifier:
    torch.manual_seed(0)
    return Classifier(Residual(), "residual", None, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), SIZE)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def alexnet() -> Classifier:
    return open_network()


@pytest.mark.parametrize("layer", ["conv1/lin", "conv1/relu", "pool1", "conv2/relu", "conv4/lin"])
def test_what_lies_behind_is_the_same_function_of_the_map(alexnet: Classifier, pictures: Tensor, layer: str) -> None:
    tail = cut_tail(alexnet, layer, SIZE)
    behind = [name for name in tail.layers if not name.startswith("fc")]
    whole = alexnet.features(pictures, [layer, *behind])
    assert (tail.channels, tail.size) == tuple(whole[layer].shape[1:3])
    parts = tail.features(whole[layer], behind)
    for name in behind:
        assert torch.equal(parts[name], whole[name])
        assert tail.shape(name, tail.size) == tuple(parts[name].shape[1:])


def test_gradients_reach_the_map_and_what_lies_before_is_not_computed(
    alexnet: Classifier, pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = cut_tail(alexnet, "conv2/relu", SIZE)
    map_ = alexnet.features(pictures, ["conv2/relu"])["conv2/relu"].requires_grad_()
    ran: list[int] = []
    convolve = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: ran.append(self.in_channels) or convolve(self, x))
    (gradient,) = torch.autograd.grad(tail.features(map_, ["conv3/lin"])["conv3/lin"].sum(), map_)
    assert ran == [map_.shape[1]]
    assert gradient.abs().sum() > 0


def test_the_tail_shares_the_networks_weights(alexnet: Classifier) -> None:
    tail = cut_tail(alexnet, "conv1/relu", SIZE)
    own = {parameter.data_ptr() for parameter in alexnet.module.parameters()}
    assert {parameter.data_ptr() for parameter in tail.module.parameters()} <= own


def test_float64_is_a_copy_of_the_same_tail(alexnet: Classifier, pictures: Tensor) -> None:
    tail = cut_tail(alexnet, "conv1/relu", SIZE)
    assert tail.to("cpu", torch.float32) is tail
    double, whole = tail.to("cpu", torch.float64), alexnet.to("cpu", torch.float64)
    maps = whole.features(pictures.double(), ["conv1/relu", "conv3/lin"])
    torch.testing.assert_close(double.features(maps["conv1/relu"], ["conv3/lin"])["conv3/lin"], maps["conv3/lin"])
    assert tail.dtype == torch.float32


def test_mean_and_deviation_are_those_of_the_given_pictures_maps(alexnet: Classifier, pictures: Tensor) -> None:
    tail = cut_tail(alexnet, "conv2/lin", SIZE, pictures)
    maps = alexnet.features(pictures, ["conv2/lin"])["conv2/lin"]
    torch.testing.assert_close(torch.tensor(tail.mean), maps.mean((0, 2, 3)))
    torch.testing.assert_close(torch.tensor(tail.deviation), maps.std((0, 2, 3), unbiased=False))
    assert max(cut_tail(alexnet, "conv2/lin", SIZE).deviation) > 0


@pytest.mark.parametrize("layer", ["first", "relu", "second"])
def test_a_layer_that_a_shortcut_bypasses_is_refused(residual: Classifier, layer: str) -> None:
    with pytest.raises(InputError, match=rf"residual from {layer}: a connection around the layer reaches"):
        cut_tail(residual, layer)


@pytest.mark.parametrize("layer", ["stem", "relu:2", "pool", "head"])
def test_layers_that_all_of_the_signal_passes_are_taken(residual: Classifier, pictures: Tensor, layer: str) -> None:
    tail = cut_tail(residual, layer)
    whole = residual.features(pictures, [layer, *tail.layers])
    parts = tail.features(whole[layer], tail.layers)
    assert tail.layers[-1] == "last"
    for name in tail.layers:
        torch.testing.assert_close(parts[name], whole[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv9", "unknown layer of cifar_alexnet 'conv9'"),
        ("fc6/relu", r"layer 'fc6/relu' has shape \(256,\); valid: a layer with a square map"),
    ],
)
def test_a_layer_without_a_map_is_refused(alexnet: Classifier, layer: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut_tail(alexnet, layer)


def test_the_last_layer_has_no_tail(residual: Classifier) -> None:
    with pytest.raises(InputError, match="no layer lies behind it; valid: a layer before 'last'"):
        cut_tail(residual, "last")


def test_layers_before_and_maps_of_another_size_are_refused(alexnet: Classifier) -> None:
    tail = cut_tail(alexnet, "conv2/relu", SIZE)
    with pytest.raises(InputError, match="unknown layer of cifar_alexnet from conv2/relu 'conv1/relu'"):
        tail.resolve("conv1/relu")
    with pytest.raises(InputError, match="takes maps of 20 x 20, not 24 x 24"):
        tail.shape("conv3/relu", 24)
    with pytest.raises(InputError, match="valid: "):
        tail.features(torch.zeros(1, 3, 20, 20), ["conv3/relu"])


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, 6, SIZE, SIZE))

    def forward(self) -> Tensor:
        return self.table


class Unusual(nn.Module):
    """Before the layer that is cut: a module without input, and one whose rows are windows of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.table = nn.Conv2d(3, 6, 3, padding=1), Table()
        self.window, self.middle = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Conv2d(6, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) + self.table()
        rows = self.window(x.unflatten(2, (2, -1)).transpose(1, 2).flatten(0, 1))
        x = rows.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2, 3)
        return self.head(self.middle(x))


def test_modules_before_the_cut_that_are_no_layers_do_no_harm(pictures: Tensor) -> None:
    torch.manual_seed(0)
    network = Classifier(Unusual(), "unusual", None, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), SIZE)
    assert network.layers == ("stem", "middle", "head")
    assert set(network.refused) == {"table", "window"}
    tail = cut_tail(network, "middle")
    whole = network.features(pictures, ["middle", "head"])
    torch.testing.assert_close(tail.features(whole["middle"], ["head"])["head"], whole["head"], rtol=0, atol=1e-6)
