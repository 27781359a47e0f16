from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


class Branching(nn.Module):
    """What real networks do to taps: a module called twice, in-place ReLU and addition, a functional in-place ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 5, stride=2, padding=2), nn.BatchNorm2d(4))
        self.drop, self.head = nn.Dropout(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv1(x))
        y = self.conv2(x)
        y += x
        y = self.relu(y)
        y = F.relu(self.block(y), inplace=True)
        return self.head(self.drop(y.mean((2, 3))))


def branching(names: dict[str, str] | None = None) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Branching().double()
    return Classifier(module, "branching", names, MEAN, STD, 12)


@pytest.fixture(scope="module")
def small() -> Classifier:
    return open_network().to("cpu", torch.float64)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def hooks(classifier: Classifier) -> int:
    return sum(len(module._forward_hooks) for module in classifier.module.modules())


def test_taps_hold_what_each_layer_computes_before_later_operations_change_it() -> None:
    network = branching()
    m = network.module
    x = torch.rand(3, 3, 12, 12, dtype=torch.float64)
    z = (x - torch.tensor(MEAN).reshape(1, 3, 1, 1).double()) / torch.tensor(STD).reshape(1, 3, 1, 1).double()
    conv1 = F.conv2d(z, m.conv1.weight, m.conv1.bias, padding=1)
    conv2 = F.conv2d(conv1.relu(), m.conv2.weight, m.conv2.bias, padding=1)
    second = (conv2 + conv1.relu()).relu()
    block = m.block[1](F.conv2d(second, m.block[0].weight, m.block[0].bias, stride=2, padding=2))
    expected = {"conv1": conv1, "relu": conv1.relu(), "conv2": conv2, "relu:2": second, "block.1": block}
    expected["head"] = F.linear(block.relu().mean((2, 3)), m.head.weight, m.head.bias)
    found = network.features(x, expected)
    for layer, value in expected.items():
        torch.testing.assert_close(found[layer], value, msg=layer)
        torch.testing.assert_close(network.features(x, [layer])[layer], value, msg=layer)


def test_layers_are_listed_once_in_forward_order_and_containers_are_other_names() -> None:
    network = branching()
    assert network.layers == ("conv1", "relu", "conv2", "relu:2", "block.0", "block.1", "head")
    assert network.resolve("block") == "block.1"
    assert [network.depth(layer) for layer in network.layers] == list(range(7))


def test_readable_names_stand_for_module_paths_and_both_are_accepted() -> None:
    network = branching({"second/relu": "relu:2", "first/lin": "conv1"})
    assert network.layers == ("first/lin", "second/relu")
    assert network.resolve("relu:2") == "second/relu"
    assert network.resolve("conv2") == "conv2"
    assert set(network.features(torch.rand(1, 3, 12, 12, dtype=torch.float64), ["conv1"])) == {"conv1"}


def test_an_unknown_layer_is_refused_with_the_nearest_match(small: Classifier, pictures: Tensor) -> None:
    with pytest.raises(InputError, match="did you mean 'conv3/relu'"):
        small.resolve("conv3/rleu")
    with pytest.raises(InputError, match="unknown layer of cifar_alexnet 'conv9'"):
        small.features(pictures, ["conv1/lin", "conv9"])
    with pytest.raises(InputError, match="unknown module path 'nowhere'"):
        branching({"name": "nowhere"})


def test_the_forward_pass_stops_at_the_deepest_tap(small: Classifier, pictures: Tensor) -> None:
    ran = []
    handles = [
        m.register_forward_pre_hook(lambda *_, path=path: ran.append(path))
        for path, m in small.module.named_modules()
        if path.startswith(("conv", "fc", "pool"))
    ]
    try:
        small.features(pictures, ["conv3/relu", "conv1/lin"])
    finally:
        for handle in handles:
            handle.remove()
    assert ran == ["conv1", "pool1", "conv2", "pool2", "conv3"]


def test_hooks_are_gone_after_use_and_after_an_error(small: Classifier, pictures: Tensor) -> None:
    before = hooks(small)
    small.features(pictures, ["conv1/lin", "softmax"])
    assert hooks(small) == before

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    handle = small.module.conv3.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        small.features(pictures, ["conv1/lin", "conv4/lin"])
    handle.remove()
    assert hooks(small) == before


def test_features_are_differentiable_and_parameters_are_not(small: Classifier) -> None:
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: small.features(p, ["conv2/lin"])["conv2/lin"], x, atol=1e-6)
    assert not any(p.requires_grad for p in small.module.parameters())
    assert not small.module.training


def test_gradients_through_taps_that_later_operations_overwrite_are_right() -> None:
    network = branching()
    x = torch.rand(1, 3, 12, 12, dtype=torch.float64, requires_grad=True)
    together = network.features(x, ["conv2", "relu:2", "head"])
    (joint,) = torch.autograd.grad(sum(value.square().sum() for value in together.values()), x)
    alone = [network.features(x, [layer])[layer].square().sum() for layer in together]
    (separate,) = torch.autograd.grad(sum(alone), x)
    torch.testing.assert_close(joint, separate)


def test_shapes_are_those_of_the_features(small: Classifier) -> None:
    for size in (32, 45):
        x = torch.rand(1, 3, size, size, dtype=torch.float64)
        layers = small.layers if size == 32 else small.layers[:15]
        for layer, value in small.features(x, layers).items():
            assert small.shape(layer, size) == value.shape[1:], layer


def test_shapes_of_large_pictures_cost_no_computation(small: Classifier) -> None:
    assert small.shape("pool5", 8192) == (96, 1024, 1024)


def test_a_fully_connected_layer_names_the_sizes_it_takes(small: Classifier) -> None:
    message = "layer 'fc6/lin' of cifar_alexnet does not take pictures of 64 x 64; valid sizes: 25 to 32"
    with pytest.raises(InputError, match=message):
        small.shape("fc6/lin", 64)
    with pytest.raises(InputError, match=message):
        small.features(torch.rand(1, 3, 64, 64, dtype=torch.float64), ["conv1/lin", "fc6/lin"])
    for size in (25, 32):
        small.features(torch.rand(1, 3, size, size, dtype=torch.float64), ["softmax"])


def support(classifier: Classifier, layer: str, size: int) -> tuple[int, int]:
    """Widest extent in pixels of the gradient at a central position, and how far it moves to the next position."""
    x = torch.rand(1, 3, size, size, dtype=torch.float64).requires_grad_()
    value = classifier.features(x, [layer])[layer]
    middle = value.shape[-1] // 2
    spans = []
    for column in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(value[0, :, middle, column].sum(), x, retain_graph=True)
        columns = gradient[0].abs().sum((0, 1)).nonzero().flatten()
        spans.append((int(columns[0]), int(columns[-1])))
    return spans[0][1] - spans[0][0] + 1, spans[1][0] - spans[0][0]


class Averaged(nn.Module):
    """The small network's geometry without its kinks: averages for maxima, no ReLU: the support is all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.pool1 = nn.Conv2d(3, 2, 5, padding=2), nn.AvgPool2d(3, 2, padding=1)
        self.conv2, self.wide = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=2, dilation=2)
        self.branch = nn.Conv2d(2, 2, 7, padding=3)
        self.pool2 = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.pool1(self.conv1(x)))
        return self.pool2(torch.cat([self.wide(x), self.branch(x)], 1))


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "wide", "branch", "pool2"])
def test_receptive_field_and_stride_are_the_support_of_the_gradient(layer: str) -> None:
    torch.manual_seed(0)
    network = Classifier(Averaged().double(), "averaged", None, MEAN, STD, 64)
    assert (network.receptive_field(layer), network.stride(layer)) == support(network, layer, 64)


def test_tracing_and_meta_tracing_agree(small: Classifier) -> None:
    from restoration_core.networks.tracing.trace import trace

    real, meta = (trace(small.module, 32, 32, compute=compute) for compute in (True, False))
    assert real == meta


def test_a_move_leaves_the_original_and_keeps_the_identity_of_the_weights() -> None:
    network = branching()
    moved = network.to("cpu", torch.float32)
    assert (network.dtype, moved.dtype) == (torch.float64, torch.float32)
    assert moved.weights_id == network.weights_id
    assert moved.to("cpu", torch.float32) is moved
    x = torch.rand(2, 3, 12, 12)
    torch.testing.assert_close(
        moved.features(x, ["head"])["head"].double(), network.features(x.double(), ["head"])["head"], atol=1e-5, rtol=0
    )


def test_the_weights_id_follows_the_content() -> None:
    first, second = branching(), branching()
    assert first.weights_id == second.weights_id
    assert len(first.weights_id) == 16
    with torch.no_grad():
        third = Branching().double()
        third.load_state_dict(first.module.state_dict())
        third.conv1.weight[0, 0, 0, 0] += 1e-9
    assert Classifier(third, "branching", None, MEAN, STD, 12).weights_id != first.weights_id


def test_it_survives_pickling(small: Classifier, pictures: Tensor) -> None:
    copy = pickle.loads(pickle.dumps(small))
    torch.testing.assert_close(copy.features(pictures, ["fc8/lin"]), small.features(pictures, ["fc8/lin"]))


@pytest.fixture(autouse=True)
def _same_random_numbers() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield
