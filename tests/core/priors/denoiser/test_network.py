"""The network: convolutions, short-cuts and blocks as torch's own modules give them, levels through the biases."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from restoration_core.priors.denoiser.network import NoiseNetwork


def random_network(channels: int = 3, width: int = 10, depth: int = 6, factor: int = 2) -> NoiseNetwork:
    """A network whose every tensor is random, the last layer and the biases too."""
    generator = torch.Generator().manual_seed(0)
    drawn = NoiseNetwork.drawn(channels, width, depth, factor, generator)
    parts = {
        name: 0.2 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        for name, tensor in drawn.tensors().items()
    }
    return NoiseNetwork.of(parts, factor)


def as_modules(network: NoiseNetwork, sigma: float, x: Tensor) -> Tensor:
    """The same with torch's modules, the pairs written out."""
    layers = []
    for filters, bias in zip(network.filters, network.biases_at(sigma), strict=True):
        layer = nn.Conv2d(filters.shape[1], filters.shape[0], 3, padding=1).double()
        layer.load_state_dict({"weight": filters, "bias": bias})
        layers.append(layer)
    hidden = layers[0](nn.PixelUnshuffle(network.factor)(x))
    for first, second in zip(layers[1:-1:2], layers[2:-1:2], strict=True):
        hidden = hidden + second(torch.relu(first(torch.relu(hidden))))
    return nn.PixelShuffle(network.factor)(layers[-1](torch.relu(hidden)))


@pytest.mark.parametrize(("factor", "depth"), [(1, 2), (1, 4), (2, 2), (2, 6), (3, 4)])
def test_it_is_the_stack_of_torch_modules(factor: int, depth: int) -> None:
    network = random_network(depth=depth, factor=factor)
    x = torch.randn(2, 3, 12, 18, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(network.noise(x, network.biases_at(0.3)), as_modules(network, 0.3, x))


def test_rows_of_different_levels_are_the_rows_alone() -> None:
    network = random_network()
    sigmas = torch.tensor([0.05, 0.2, 0.7], dtype=torch.float64)
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    together = network.noise(x, network.biases_of(sigmas))
    for row, sigma in enumerate(sigmas.tolist()):
        alone = network.noise(x[row : row + 1], network.biases_at(sigma))
        torch.testing.assert_close(together[row : row + 1], alone)


@pytest.mark.parametrize("size", [(1, 1), (7, 8), (8, 7), (9, 5)])
def test_sizes_that_are_no_whole_blocks_repeat_their_edge(size: tuple[int, int]) -> None:
    network = random_network()
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    height, width = (side + side % 2 for side in size)
    rows, columns = (torch.arange(whole).clamp(max=side - 1) for whole, side in ((height, size[0]), (width, size[1])))
    padded = x[:, :, rows][..., columns]
    found = network.noise(x, network.biases_at(0.1))
    assert found.shape == x.shape
    torch.testing.assert_close(found, network.noise(padded, network.biases_at(0.1))[..., : size[0], : size[1]])


def test_receptive_field_is_what_a_pixel_depends_on() -> None:
    network = random_network(depth=4, width=6)
    side = 2 * network.receptive_field
    middle = side // 2 - side // 2 % 2
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(4), dtype=torch.float64).requires_grad_()
    # All pixels of one block, as they share a window.
    network.noise(x, network.biases_at(0.1))[..., middle : middle + 2, middle : middle + 2].abs().sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0).nonzero()
    extent = (seen.max(0).values - seen.min(0).values + 1).tolist()
    assert extent == [network.receptive_field] * 2


def test_an_untrained_network_finds_no_noise_and_flat_colours_do_not_reach_it() -> None:
    network = NoiseNetwork.drawn(3, 8, 4, 2, torch.Generator().manual_seed(0))
    assert network.noise(torch.randn(1, 3, 8, 8), network.biases_at(0.1)).abs().max() == 0
    flat = torch.tensor([5.0, -20.0, 7.0])[None, :, None, None].expand(1, 3, 12, 12)
    first = nn.functional.conv2d(nn.functional.pixel_unshuffle(flat, 2), network.filters[0])
    assert first.abs().max() < 1e-4 < network.filters[0].abs().max()


def test_tensors_make_the_network_again_and_a_missing_one_is_named() -> None:
    network = random_network()
    tensors = network.tensors()
    again = NoiseNetwork.of(tensors, network.factor)
    for field in dataclasses.fields(NoiseNetwork):
        old, new = getattr(network, field.name), getattr(again, field.name)
        assert old == new if field.name == "factor" else all(a is b for a, b in zip(old, new, strict=True))
    del tensors["slopes.3"]
    with pytest.raises(KeyError, match=r"slopes\.3"):
        NoiseNetwork.of(tensors, 2)
