"""The field of patch experts against a plain convolution under autograd, hand-computed cases and its own subsets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import restoration_core.priors.patch_experts.patch_field as module
from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts.patch_experts import PatchExperts

NAMES = sorted(EXPERTS)


def random_prior(name: str, *, count: int = 7, channels: int = 3, size: int = 4, stride: int = 1) -> PatchExperts:
    generator = torch.Generator().manual_seed(1)
    filters = torch.randn(count, channels, size, size, generator=generator, dtype=torch.float64)
    alphas = torch.rand(count, generator=generator, dtype=torch.float64) + 0.1
    bias = torch.randn(count, generator=generator, dtype=torch.float64)
    return PatchExperts(filters, alphas, bias, EXPERTS[name], patch_stride=stride)


def pictures(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def convolution_energy(prior: PatchExperts, x: Tensor) -> Tensor:
    """The same energy as one convolution, differentiable by autograd."""
    responses = F.conv2d(x, prior.filters, prior.bias)
    penalty = -prior.expert.log_density(responses)
    return (penalty * prior.alphas[:, None, None]).sum(dim=1).mean(dim=(1, 2))


@pytest.fixture(params=[1, 3_000, 8 << 20], ids=["one-row-chunks", "few-row-chunks", "one-chunk"])
def _chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPU_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunk")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 3, 9, 13), (1, 3, 4, 4), (1, 3, 4, 11), (3, 3, 12, 5)])
def test_energy_and_gradient_equal_autograd_through_a_convolution(name: str, shape: tuple[int, ...]) -> None:
    prior, x = random_prior(name), pictures(*shape).requires_grad_()
    expected = convolution_energy(prior, x)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), x)
    energy, gradient = prior.energy_and_gradient(x)
    torch.testing.assert_close(energy, expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(prior.energy(x), energy, rtol=0, atol=0)
    torch.testing.assert_close(prior.gradient(x), gradient, rtol=0, atol=0)
    assert not energy.requires_grad
    assert not gradient.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_differentiable_passes_gradcheck(name: str) -> None:
    prior = random_prior(name, count=5, size=3)
    assert torch.autograd.gradcheck(prior.differentiable, (pictures(2, 3, 5, 6).requires_grad_(),))


def test_hand_computed_energy_and_gradient() -> None:
    # One filter that takes the difference of two neighbours; picture 0 1 3: responses 1 and 2.
    filters = torch.tensor([[[[-1.0, 1.0], [0.0, 0.0]]]], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    prior = PatchExperts(filters, 2.0 * one, 0.0 * one, EXPERTS["student_t"])
    x = torch.tensor([[[[0.0, 1.0, 3.0], [5.0, 6.0, 7.0]]]], dtype=torch.float64)
    energy, gradient = prior.energy_and_gradient(x)
    assert energy.item() == pytest.approx(2.0 * (math.log(1.5) + math.log(3.0)) / 2)
    # -g(1) = 2/3, -g(2) = 4/6; alpha 2 and two patches cancel.
    expected = torch.tensor([[[[-2 / 3, 2 / 3 - 2 / 3, 2 / 3], [0.0, 0.0, 0.0]]]], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_a_batch_do_not_see_each_other(name: str) -> None:
    prior, x = random_prior(name), pictures(4, 3, 11, 9)
    energy, gradient = prior.energy_and_gradient(x)
    for row in range(4):
        alone_energy, alone_gradient = prior.energy_and_gradient(x[row : row + 1])
        torch.testing.assert_close(energy[row : row + 1], alone_energy, rtol=0, atol=1e-12)
        torch.testing.assert_close(gradient[row : row + 1], alone_gradient, rtol=0, atol=1e-12)


def test_several_pictures_in_a_chunk_as_on_an_accelerator_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    prior, x = random_prior("logistic"), pictures(5, 3, 7, 8)
    expected = prior.energy_and_gradient(x)
    monkeypatch.setattr(PatchExperts, "pictures_together", lambda *_: 2)
    monkeypatch.setattr(module, "CPU_CHUNK_BYTES", 8_000)
    for got, wanted in zip(prior.energy_and_gradient(x), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_constant_pictures_have_finite_energy_and_gradient(name: str) -> None:
    for value in (0.0, 0.5, 1.0):
        energy, gradient = random_prior(name).energy_and_gradient(torch.full((1, 3, 8, 8), value, dtype=torch.float64))
        assert torch.isfinite(energy).all()
        assert torch.isfinite(gradient).all()


def test_energy_of_a_periodic_texture_does_not_grow_with_the_picture() -> None:
    prior, tile = random_prior("logistic"), pictures(1, 3, 5, 5)
    # 5 n + 3 pixels hold n whole periods of 4 x 4 patches.
    small, large = (tile.repeat(1, 1, n + 1, n + 1)[:, :, : 5 * n + 3, : 5 * n + 3] for n in (1, 6))
    torch.testing.assert_close(prior.energy(small), prior.energy(large), rtol=1e-12, atol=0)


@pytest.mark.parametrize("stride", [2, 3, 6])
@pytest.mark.parametrize("name", NAMES)
def test_mean_over_all_offsets_is_the_full_gradient(name: str, stride: int) -> None:
    # 8 x 4 places: no stride divides both, and 6 leaves offsets without any patch.
    prior, x = random_prior(name, stride=stride), pictures(1, 3, 11, 7)
    offsets = torch.cartesian_prod(torch.arange(stride), torch.arange(stride))
    subsets = prior.gradient_at(x.expand(stride**2, -1, -1, -1), offsets)
    torch.testing.assert_close(subsets.mean(dim=0, keepdim=True), prior.gradient(x), rtol=1e-11, atol=1e-13)
    assert (subsets - prior.gradient(x)).abs().amax() > 1e-3


def test_gradient_at_takes_each_row_at_its_own_offset() -> None:
    prior, x = random_prior("student_t", stride=3), pictures(3, 3, 12, 10)
    offsets = torch.tensor([[0, 2], [1, 1], [2, 0]])
    together = prior.gradient_at(x, offsets)
    for row in range(3):
        down, right = offsets[row].tolist()
        leaf = x[row : row + 1].clone().requires_grad_()
        responses = F.conv2d(leaf, prior.filters, prior.bias)[:, :, down::3, right::3]
        penalty = (-prior.expert.log_density(responses) * prior.alphas[:, None, None]).sum() * 9 / (9 * 7)
        (expected,) = torch.autograd.grad(penalty, leaf)
        torch.testing.assert_close(together[row : row + 1], expected, rtol=1e-11, atol=1e-13)


def test_gradient_at_with_stride_one_is_the_full_gradient() -> None:
    prior, x = random_prior("logistic"), pictures(2, 3, 8, 9)
    zeros = torch.zeros(2, 2, dtype=torch.long)
    torch.testing.assert_close(prior.gradient_at(x, zeros), prior.gradient(x), rtol=1e-12, atol=1e-15)


def test_offsets_out_of_range_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"offsets: shape \(1, 2\) with values in \[0, 2\) is needed, but got \[\[0, 2"
    ):
        random_prior("logistic", stride=2).gradient_at(pictures(1, 3, 8, 8), torch.tensor([[0, 2]]))


def test_picture_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(
        InputError, match="a picture of 9 x 3 px is smaller than the prior's patches; valid: at least 4"
    ):
        random_prior("logistic").energy(pictures(1, 3, 3, 9))


def test_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(B, 3, H, W\) is needed by this prior, but got \(B, 1, 8, 8\)"):
        random_prior("logistic").gradient(pictures(1, 1, 8, 8))


def test_alpha_that_is_not_positive_is_refused() -> None:
    with pytest.raises(InputError, match="alpha > 0 must hold for every expert, but got 0"):
        PatchExperts(torch.ones(1, 3, 2, 2), torch.zeros(1), torch.zeros(1), EXPERTS["logistic"])


def test_feature_maps_with_many_channels_are_taken() -> None:
    prior, x = random_prior("logistic", channels=24, size=3), pictures(2, 24, 6, 6).requires_grad_()
    (expected,) = torch.autograd.grad(convolution_energy(prior, x).sum(), x)
    torch.testing.assert_close(prior.gradient(x), expected, rtol=1e-11, atol=1e-13)


def test_channels_last_pictures_are_taken() -> None:
    prior, x = random_prior("logistic"), pictures(2, 3, 9, 8)
    turned = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(prior.gradient(turned), prior.gradient(x), rtol=0, atol=0)


def test_to_moves_every_tensor_and_keeps_the_stride() -> None:
    prior = random_prior("logistic", stride=2)
    moved = prior.to("cpu", torch.float32)
    assert moved.patch_stride == 2
    energy, gradient = moved.energy_and_gradient(pictures(1, 3, 8, 8).float())
    assert (energy.dtype, gradient.dtype) == (torch.float32, torch.float32)
    assert prior.to("cpu", torch.float64) is prior
