"""Channel-wise and separable banks and channel subsets equal the full bank that has the same filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import restoration_core.priors.patch_experts.patch_field as module
from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.channelwise_experts import ChannelwiseExperts
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.patch_experts.patch_field import PatchField
from restoration_core.priors.patch_experts.separable_experts import SeparableExperts

CHANNELS, SIZE = 4, 3


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def full(expert: str) -> PatchExperts:
    return PatchExperts(draw(5, CHANNELS, SIZE, SIZE), draw(5).exp(), draw(5, seed=1), EXPERTS[expert])


def channelwise(expert: str) -> ChannelwiseExperts:
    shape = (CHANNELS, 5)
    return ChannelwiseExperts(draw(*shape, SIZE, SIZE), draw(*shape).exp(), draw(*shape, seed=1), EXPERTS[expert])


def separable(expert: str) -> SeparableExperts:
    depthwise, pointwise = draw(CHANNELS, 2, SIZE, SIZE), draw(7, CHANNELS * 2, seed=2)
    return SeparableExperts(depthwise, pointwise, draw(7).exp(), draw(7, seed=1), EXPERTS[expert])


def dense_of_channelwise(prior: ChannelwiseExperts) -> PatchExperts:
    """The same field as one bank over all channels: filters that are zero in the other channels."""
    channels, count = prior.alphas.shape
    filters = torch.zeros(channels, count, channels, SIZE, SIZE, dtype=torch.float64)
    for channel in range(channels):
        filters[channel, :, channel] = prior.filters[channel]
    flat = filters.flatten(0, 1), prior.alphas.flatten(), prior.bias.flatten()
    return PatchExperts(*flat, prior.expert)


def dense_of_separable(prior: SeparableExperts) -> PatchExperts:
    channels, each = prior.depthwise.shape[:2]
    filters = torch.zeros(len(prior.alphas), channels, SIZE, SIZE, dtype=torch.float64)
    for k in range(len(filters)):
        for c in range(channels):
            for m in range(each):
                filters[k, c] += prior.pointwise[k, c * each + m] * prior.depthwise[c, m]
    return PatchExperts(filters, prior.alphas, prior.bias, prior.expert)


PAIRS: list[Callable[[str], tuple[PatchField, PatchExperts]]] = [
    lambda expert: (channelwise(expert), dense_of_channelwise(channelwise(expert))),
    lambda expert: (separable(expert), dense_of_separable(separable(expert))),
]


@pytest.mark.parametrize("pair", PAIRS, ids=["channelwise", "separable"])
@pytest.mark.parametrize("expert", sorted(EXPERTS))
@pytest.mark.parametrize("chunk_bytes", [1, 9_000, 6 << 20], ids=["row", "some-rows", "whole"])
def test_bank_is_the_field_of_its_dense_filters(
    pair: Callable[[str], tuple[PatchField, PatchExperts]],
    expert: str,
    chunk_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CPU_CHUNK_BYTES", chunk_bytes)
    prior, dense = pair(expert)
    x = draw(2, CHANNELS, 9, 7, seed=4)
    energy, gradient = prior.energy_and_gradient(x)
    torch.testing.assert_close(energy, dense.energy(x), rtol=1e-10, atol=0)
    torch.testing.assert_close(gradient, dense.gradient(x), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(prior.gradient(x), gradient, rtol=0, atol=0)
    offsets = torch.tensor([[1, 0], [2, 2]])
    strided, sparse = prior.with_stride(3), dense.with_stride(3)
    torch.testing.assert_close(strided.gradient_at(x, offsets), sparse.gradient_at(x, offsets), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [full, channelwise, separable])
@pytest.mark.parametrize("expert", sorted(EXPERTS))
def test_gradient_is_that_of_the_energy(make: Callable[[str], PatchField], expert: str) -> None:
    prior = ChannelSubset(make(expert), (5, 0, 3, 2), 6)
    x = draw(2, 6, 5, 4, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(prior.differentiable, x)


@pytest.mark.parametrize("make", [channelwise, separable])
def test_mean_over_all_offsets_is_the_full_gradient(make: Callable[[str], PatchField]) -> None:
    prior = ChannelSubset(make("student_t"), (1, 2, 3, 4), 5).with_stride(2)
    x = draw(1, 5, 8, 7, seed=3)
    corners = [(down, right) for down in range(2) for right in range(2)]
    mean = torch.stack([prior.gradient_at(x, torch.tensor([corner])) for corner in corners]).mean(dim=0)
    torch.testing.assert_close(mean, prior.gradient(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [full, channelwise, separable])
def test_few_patches_energy_has_their_gradient_and_the_full_energy_as_its_mean(
    make: Callable[[str], PatchField],
) -> None:
    prior = ChannelSubset(make("student_t"), (1, 2, 3, 4), 5).with_stride(2)
    x = draw(2, 5, 8, 7, seed=3)
    corners = [torch.tensor([[down, right], [right, down]]) for down in range(2) for right in range(2)]
    mean = torch.stack([prior.energy_at(x, corner) for corner in corners]).mean(dim=0)
    torch.testing.assert_close(mean, prior.energy(x), rtol=1e-12, atol=0)
    direction, step = draw(2, 5, 8, 7, seed=4), 1e-5
    for corner in corners:
        ahead, behind = (prior.energy_at(x + sign * step * direction, corner) for sign in (1, -1))
        slope = (prior.gradient_at(x, corner) * direction).sum(dim=(1, 2, 3))
        torch.testing.assert_close((ahead - behind) / (2 * step), slope, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [full, channelwise, separable])
def test_rows_do_not_depend_on_their_neighbours(make: Callable[[str], PatchField]) -> None:
    prior = make("logistic").to("cpu", torch.float32)
    x = draw(3, CHANNELS, 12, 12, seed=3).float()
    assert torch.equal(prior.gradient(x)[1:2], prior.gradient(x[1:2]))
    assert torch.equal(prior.energy(x)[1:2], prior.energy(x[1:2]))


def test_subset_sees_its_channels_in_its_order_and_leaves_the_others_free() -> None:
    field = full("student_t")
    prior, x = ChannelSubset(field, (4, 1, 0, 5), 6), draw(2, 6, 6, 6, seed=3)
    torch.testing.assert_close(prior.energy(x), field.energy(torch.stack([x[:, c] for c in (4, 1, 0, 5)], dim=1)))
    gradient = prior.gradient(x)
    assert not gradient[:, [2, 3]].any()
    assert gradient[:, [0, 1, 4, 5]].any(dim=(2, 3)).all()


def test_dense_filters_of_a_separable_bank_are_its_products() -> None:
    prior = separable("logistic")
    torch.testing.assert_close(prior.dense_filters()[0], dense_of_separable(prior).filters)


@pytest.mark.parametrize("make", [full, channelwise, separable])
def test_a_map_of_other_channels_is_refused(make: Callable[[str], PatchField]) -> None:
    with pytest.raises(InputError, match=r"shape \(B, 4, H, W\) is needed by this prior, but got \(B, 3, 9, 9\)"):
        make("logistic").energy(draw(1, 3, 9, 9))
    with pytest.raises(InputError, match=r"shape \(B, 8, H, W\) is needed by this prior, but got \(B, 4, 9, 9\)"):
        ChannelSubset(make("logistic"), (0, 1, 2, 3), 8).energy(draw(1, 4, 9, 9))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ((0, 1, 2, 6), "has channels 0 to 5, but got 6"),
        ((0, 1, 1, 2), "each once, are needed"),
        ((0, -1, 1, 2), "numbers from 0"),
        ((0, 1, 2), "4 are needed by this prior, but got 3"),
    ],
)
def test_channels_that_do_not_fit_are_refused(chosen: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChannelSubset(full("logistic"), chosen, 6)


def test_tensors_that_do_not_fit_are_refused() -> None:
    ones = torch.ones
    with pytest.raises(InputError, match=r"alphas: shape \(2, 3\) is needed, but got \(3,\)"):
        ChannelwiseExperts(ones(2, 3, 3, 3), ones(3), ones(2, 3), EXPERTS["logistic"])
    with pytest.raises(InputError, match=r"pointwise: shape \(4, 6\) is needed, but got \(4, 5\)"):
        SeparableExperts(ones(2, 3, 3, 3), ones(4, 5), ones(4), ones(4), EXPERTS["logistic"])
    with pytest.raises(InputError, match="alpha > 0 must hold"):
        ChannelwiseExperts(ones(2, 3, 3, 3), -ones(2, 3), ones(2, 3), EXPERTS["logistic"])
    with pytest.raises(InputError, match="finite values are needed"):
        SeparableExperts(ones(2, 3, 3, 3) * torch.nan, ones(4, 6), ones(4), ones(4), EXPERTS["logistic"])


@pytest.mark.parametrize("make", [full, channelwise, separable])
def test_a_networks_memory_layout_changes_no_bit(make: Callable[[str], PatchField]) -> None:
    prior, x = make("student_t").with_stride(2), draw(2, CHANNELS, 9, 7, seed=6)
    as_networks_give_it, offsets = x.contiguous(memory_format=torch.channels_last), torch.tensor([[1, 0], [0, 1]])
    assert torch.equal(prior.gradient(as_networks_give_it), prior.gradient(x))
    assert torch.equal(prior.gradient_at(as_networks_give_it, offsets), prior.gradient_at(x, offsets))
    assert torch.equal(prior.energy(as_networks_give_it[:1]), prior.energy(x[:1]))
