"""The convolutional field against autograd through its definition, closed forms, and itself cut into pieces."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import restoration_core.priors.convolutional_experts.convolutional_experts as module
from restoration_core.errors import InputError
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts.patch_experts import PatchExperts

NAMES = sorted(EXPERTS)
LEVELS = (0.05, 0.2)


def random_prior(
    name: str = "student_t", *, count: int = 5, channels: int = 3, size: int = 3, scales: int = 2, boundary: str
) -> ConvolutionalExperts:
    generator = torch.Generator().manual_seed(1)

    def positive(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) + 0.3

    return ConvolutionalExperts(
        torch.randn(count, channels, size, size, generator=generator, dtype=torch.float64),
        torch.randn(count, generator=generator, dtype=torch.float64),
        positive(len(LEVELS), scales, count),
        positive(len(LEVELS), scales, count),
        LEVELS,
        EXPERTS[name],
        boundary=boundary,
    )


def pictures(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def energy_by_definition(prior: ConvolutionalExperts, x: Tensor, level: int) -> Tensor:
    """The formula of the class, one picture and one expert at a time, for sizes that every scale divides."""
    size, found = prior.patch_size, []
    for picture in x:
        total = picture.new_zeros(())
        for scale in range(prior.scales):
            coarse = picture[None]
            for _ in range(scale):
                coarse = (coarse[..., ::2, :] + coarse[..., 1::2, :]) / 2
                coarse = (coarse[..., ::2] + coarse[..., 1::2]) / 2
            if prior.boundary == "reflect":
                before, behind = (size - 1) // 2, size // 2
                coarse = F.pad(coarse, (before, behind, before, behind), mode="reflect")
            for expert in range(len(prior.filters)):
                response = F.conv2d(coarse, prior.filters[expert : expert + 1]) + prior.bias[expert]
                gamma = prior.level_gammas[level, scale, expert]
                alpha = prior.level_alphas[level, scale, expert]
                total = total - alpha * prior.expert.log_density(gamma * response).sum()
        found.append(total / picture[0].numel())
    return torch.stack(found)


@pytest.fixture(params=[1, 4_000, 8 << 20], ids=["one-row-bands", "few-row-bands", "one-band"])
def _chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPU_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunk")
@pytest.mark.parametrize("boundary", ["reflect", "valid"])
@pytest.mark.parametrize(("name", "size"), [("logistic", 3), ("student_t", 3), ("student_t", 4)])
def test_energy_and_gradient_equal_autograd_through_the_definition(name: str, size: int, boundary: str) -> None:
    prior, x = random_prior(name, size=size, boundary=boundary), pictures(2, 3, 12, 16).requires_grad_()
    for level, noise in enumerate(LEVELS):
        here = prior.at_noise(noise)
        expected = energy_by_definition(prior, x, level)
        (expected_gradient,) = torch.autograd.grad(expected.sum(), x)
        energy, gradient = here.energy_and_gradient(x)
        torch.testing.assert_close(energy, expected, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(here.energy(x), energy, rtol=0, atol=0)
        torch.testing.assert_close(here.gradient(x), gradient, rtol=0, atol=0)
        assert not energy.requires_grad
        assert not gradient.requires_grad


@pytest.mark.parametrize("boundary", ["reflect", "valid"])
@pytest.mark.parametrize("shape", [(2, 2, 9, 11), (1, 2, 10, 13)])
def test_differentiable_passes_gradcheck_where_scales_do_not_divide_the_size(
    boundary: str, shape: tuple[int, ...]
) -> None:
    prior = random_prior(count=3, channels=2, scales=3 if boundary == "reflect" else 2, boundary=boundary)
    assert torch.autograd.gradcheck(prior.differentiable, (pictures(*shape).requires_grad_(),))


def test_feature_maps_of_many_channels_pass_gradcheck() -> None:
    prior = random_prior("logistic", count=4, channels=9, boundary="reflect")
    assert torch.autograd.gradcheck(prior.differentiable, (10 * pictures(1, 9, 6, 5).requires_grad_(),))


@pytest.mark.parametrize("name", NAMES)
def test_one_scale_without_margins_is_the_field_of_patch_experts_but_for_the_divisor(name: str) -> None:
    prior, x = random_prior(name, scales=1, size=4, boundary="valid").at_noise(0.05), pictures(2, 3, 9, 12)
    gammas, alphas = prior.level_gammas[0, 0], prior.level_alphas[0, 0]
    patches = PatchExperts(gammas[:, None, None, None] * prior.filters, alphas, gammas * prior.bias, prior.expert)
    places = 6 * 9 / (9 * 12)
    torch.testing.assert_close(prior.energy(x), patches.energy(x) * places, rtol=1e-12, atol=0)
    torch.testing.assert_close(prior.gradient(x), patches.gradient(x) * places, rtol=1e-10, atol=1e-14)


def test_a_hand_computed_picture() -> None:
    # One filter that takes the difference of two neighbours, with weight 2 and scale 3; responses 3 and 6.
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    filters = torch.tensor([[[[-1.0, 1.0], [0.0, 0.0]]]], dtype=torch.float64)
    prior = ConvolutionalExperts(
        filters, torch.zeros(1, dtype=torch.float64), 2 * one, 3 * one, [0.1], EXPERTS["student_t"], boundary="valid"
    )
    x = torch.tensor([[[[0.0, 1.0, 3.0], [5.0, 6.0, 7.0]]]], dtype=torch.float64)
    energy, gradient = prior.energy_and_gradient(x)
    assert energy.item() == pytest.approx(2 * (math.log1p(9 / 2) + math.log1p(36 / 2)) / 6)
    first, second = 2 * 3 * 2 * 3 / (9 + 2) / 6, 2 * 3 * 2 * 6 / (36 + 2) / 6
    expected = torch.tensor([[[[-first, first - second, second], [0.0, 0.0, 0.0]]]], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected)


def test_zero_mean_filters_see_neither_brightness_nor_colour() -> None:
    prior = random_prior(boundary="reflect")
    filters = prior.filters - prior.filters.mean(dim=(2, 3), keepdim=True)
    parts = (filters, prior.bias, prior.level_alphas, prior.level_gammas)
    blind = ConvolutionalExperts(*parts, LEVELS, prior.expert)
    x, colour = pictures(1, 3, 12, 12), torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(blind.energy(x + colour), blind.energy(x), rtol=1e-12, atol=0)
    assert abs(prior.energy(x + colour) - prior.energy(x)) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_bitwise_the_same_in_any_batch(dtype: torch.dtype) -> None:
    prior, x = random_prior(count=16, size=7, boundary="reflect").to("cpu", dtype), pictures(4, 3, 30, 26).to(dtype)
    energy, gradient = prior.energy_and_gradient(x)
    for row in range(4):
        alone_energy, alone_gradient = prior.energy_and_gradient(x[row : row + 1])
        torch.testing.assert_close(energy[row : row + 1], alone_energy, rtol=0, atol=0)
        torch.testing.assert_close(gradient[row : row + 1], alone_gradient, rtol=0, atol=0)


def test_a_channels_last_picture_gives_the_same() -> None:
    prior, x = random_prior(boundary="reflect"), pictures(2, 3, 12, 14)
    torch.testing.assert_close(prior.gradient(x.contiguous(memory_format=torch.channels_last)), prior.gradient(x))


def test_energy_does_not_grow_with_the_picture() -> None:
    prior, x = random_prior(size=3, boundary="reflect"), pictures(1, 3, 32, 32)
    mirrored = torch.cat([torch.cat([x, x.flip(3)], 3), torch.cat([x, x.flip(3)], 3).flip(2)], 2)
    torch.testing.assert_close(prior.energy(mirrored), prior.energy(x), rtol=0.05, atol=0)


def test_between_two_noise_levels_weights_and_scales_are_geometric_means() -> None:
    prior = random_prior(boundary="reflect")
    between = prior.at_noise(math.sqrt(LEVELS[0] * LEVELS[1]))
    torch.testing.assert_close(between.alphas, prior.level_alphas.prod(dim=0).sqrt().sum(dim=0))
    assert prior.noise == LEVELS[1]
    assert prior.at_noise(prior.noise) is prior
    with pytest.raises(InputError, match=r"0\.05 <= noise <= 0\.2 must hold.*got 0\.3"):
        prior.at_noise(0.3)


def test_small_pictures_and_other_channels_are_refused_with_what_fits() -> None:
    prior = random_prior(size=7, scales=3, boundary="reflect")
    prior.check((3, 13, 13))
    assert torch.isfinite(prior.gradient(pictures(1, 3, 13, 13))).all()
    with pytest.raises(InputError, match=r"12 x 13 px is too small.*at least 13 x 13 px"):
        prior.energy(pictures(1, 3, 13, 12))
    with pytest.raises(InputError, match=r"\(B, 3, H, W\) is needed.*got \(B, 4, 20, 20\)"):
        prior.energy(pictures(1, 4, 20, 20))
    valid = random_prior(size=3, scales=2, boundary="valid")
    valid.check((3, 5, 5))
    assert torch.isfinite(valid.gradient(pictures(1, 3, 5, 5))).all()
    with pytest.raises(InputError, match="at least 5 x 5 px"):
        valid.check((3, 4, 5))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        (0, torch.zeros(5, 3, 3, 4), "filters: shape"),
        (1, torch.zeros(4), r"bias: shape \(5,\)"),
        (2, torch.ones(2, 2, 4), "noise levels x scales x filters"),
        (3, torch.zeros(2, 2, 5), "values > 0"),
        (0, torch.full((5, 3, 3, 3), math.nan), "finite values"),
        (4, (0.2, 0.05), "rising"),
    ],
)
def test_parts_that_do_not_fit_are_refused(part: int, value: object, message: str) -> None:
    prior = random_prior(boundary="reflect")
    parts: list[object] = [prior.filters, prior.bias, prior.level_alphas, prior.level_gammas, LEVELS]
    parts[part] = value
    with pytest.raises(InputError, match=message):
        ConvolutionalExperts(*parts, prior.expert)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"unknown boundary 'mirror'.*valid: reflect, valid"):
        random_prior(boundary="mirror")
