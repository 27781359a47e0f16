"""Receptive field and stride against the support of the gradient, where branches join."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration_core.networks import Classifier, open_network


def everything_counts(network: Classifier) -> Classifier:
    """The network without kinks and cancellation: weights >= 0, averages for maxima, so that no gradient is 0."""
    for module in list(network.module.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, pool)
    double = network.to("cpu", torch.float64)
    for parameter in double.module.parameters():
        parameter.abs_()
    return double


def support(classifier: Classifier, layer: str, size: int) -> tuple[int, int]:
    """Largest extent in pixels of the gradient at a central position, and how far it moves to the next position."""
    x = (1 + torch.rand(1, 3, size, size, dtype=torch.float64)).requires_grad_()
    value = classifier.features(x, [layer])[layer]
    middle = value.shape[-1] // 2
    extents, starts = [], []
    for position in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(value[0, :, position, position].sum(), x, retain_graph=True)
        for axis in (0, 1):
            pixels = gradient[0].sum(0).abs().sum(axis).nonzero().flatten()
            extents.append(int(pixels[-1] - pixels[0]) + 1)
            starts.append(int(pixels[0]))
    return max(extents), max(starts[2] - starts[0], starts[3] - starts[1])


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("resnet18", "conv1/relu", 128),
        ("resnet18", "layer2.0/shortcut/bn", 128),
        ("resnet18", "layer2.0", 192),
        ("resnet18", "layer3.1", 304),
        ("squeezenet1_1", "fire2", 96),
        ("squeezenet1_1", "fire5", 160),
        ("squeezenet1_0", "pool8", 288),
    ],
)
def test_branches_that_join_see_what_the_widest_of_them_sees(name: str, layer: str, size: int) -> None:
    network = everything_counts(open_network(name, "random"))
    assert support(network, layer, size) == (network.receptive_field(layer), network.stride(layer))


@pytest.mark.slow
def test_inceptions_blocks_see_what_their_widest_branch_sees() -> None:
    network = everything_counts(open_network("inception_v3", "random"))
    for layer, size in (("mixed_5b/branch_pool/relu", 127), ("mixed_5b", 127), ("mixed_6a", 239)):
        assert support(network, layer, size) == (network.receptive_field(layer), network.stride(layer)), layer


class Lopsided(nn.Module):
    """Branches whose windows do not lie over each other: 4 to the left, 4 to the right, and one wide and flat."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 3, stride=2, padding=1)
        self.left = nn.Conv2d(2, 2, 5, padding=2)
        self.right = nn.Conv2d(2, 2, 5, padding=2)
        self.flat = nn.Conv2d(2, 2, (1, 9), padding=(0, 4))
        self.sum, self.all = nn.ReLU(), nn.AvgPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        left, right = self.left(F.pad(x, (2, 0, 2, 0)))[..., :-2, :-2], self.right(F.pad(x, (0, 3, 0, 3)))[..., 3:, 3:]
        flat: Tensor = self.flat(x)
        return self.all(torch.cat([self.sum(left + right), flat], 1))


@pytest.mark.parametrize("layer", ["stem", "left", "sum", "flat", "all"])
def test_windows_beside_each_other_count_from_the_first_pixel_to_the_last(layer: str) -> None:
    network = Classifier(Lopsided(), "lopsided", None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 96)
    double = everything_counts(network)
    assert support(double, layer, 96) == (double.receptive_field(layer), double.stride(layer))
