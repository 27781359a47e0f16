"""The denoiser as a prior: exact on Gaussian data, where its residual is a gradient; rows apart; levels refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import open_network
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.network import NoiseNetwork
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Term, solve

CENTRE = torch.tensor([0.4, 0.5, 0.6], dtype=torch.float64)


def wiener(spread: float, sigma: float, unit: float = 1.0) -> Denoiser:
    """The best denoiser of independent normal pixels of standard deviation ``spread`` about ``CENTRE``.

    ``F(u) = k u`` with ``k = sigma^2 / (spread^2 + sigma^2)``, from ``relu(u) - relu(-u) = u``.
    """
    identity = torch.zeros(3, 3, 3, 3, dtype=torch.float64)
    identity[range(3), range(3), 1, 1] = 1.0
    share = sigma**2 / (spread**2 + sigma**2)
    filters = (torch.cat([identity, -identity]), share * torch.cat([identity, -identity], dim=1))
    zeros = tuple(torch.zeros(len(part), dtype=torch.float64) for part in filters)
    return Denoiser(NoiseNetwork(filters, zeros, zeros, 1), CENTRE, unit, (sigma / 10, sigma * 10), sigma)


def trained_like(channels: int = 3, dtype: torch.dtype = torch.float32) -> Denoiser:
    generator = torch.Generator().manual_seed(0)
    drawn = NoiseNetwork.drawn(channels, 16, 4, 2, generator)
    parts = {name: 0.1 * torch.randn(t.shape, generator=generator) for name, t in drawn.tensors().items()}
    centre = torch.full((channels,), 0.5)
    return Denoiser(NoiseNetwork.of(parts, 2), centre, 1.0, (0.01, 0.3), 0.1).to("cpu", dtype)


def pictures(rows: int, side: int = 12, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(rows, 3, side, side + 2, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_on_gaussian_data_the_gradient_is_that_of_the_blurred_density() -> None:
    spread, sigma = 0.3, 0.1
    prior, x = wiener(spread, sigma), pictures(2)
    variance = spread**2 + sigma**2
    # -log N(x; centre, spread^2 + sigma^2), a mean over pixels.
    leaf = x.clone().requires_grad_()
    energy = (leaf - CENTRE[:, None, None]).square().flatten(1).sum(1) / (2 * variance * 12 * 14)
    (wanted,) = torch.autograd.grad(energy.sum(), leaf)
    torch.testing.assert_close(prior.gradient(x), wanted)
    # A linear denoiser with a symmetric matrix is where RED's value is an energy.
    torch.testing.assert_close(prior.report(x), energy.detach())


def test_one_step_of_sigma_squared_times_pixels_denoises() -> None:
    prior, x = trained_like(dtype=torch.float64), pictures(2)
    height, width = x.shape[2:]
    torch.testing.assert_close(x - prior.noise**2 * height * width * prior.gradient(x), prior.denoise(x))


def test_levels_of_maps_count_in_their_unit() -> None:
    x = pictures(1)
    in_pixels, in_units = wiener(0.3, 0.1), wiener(0.3, 0.1, unit=4.0)
    # With the unit four times as large the same share of the map is removed, and the score is a quarter.
    stretched = CENTRE[:, None, None] + 4 * (x - CENTRE[:, None, None])
    torch.testing.assert_close(in_units.gradient(stretched), in_pixels.gradient(x) / 4)
    torch.testing.assert_close(in_units.report(stretched), in_pixels.report(x))


def test_what_it_reports_is_half_the_product_of_picture_and_gradient() -> None:
    prior, x = trained_like(dtype=torch.float64), pictures(3)
    residual = (x - prior.denoise(x)) / (prior.noise**2 * 12 * 14)
    wanted = 0.5 * torch.einsum("bchw,bchw->b", x - 0.5, residual)
    torch.testing.assert_close(prior.report(x), wanted)
    energy, gradient = prior.energy_and_gradient(x)
    torch.testing.assert_close(energy, wanted)
    torch.testing.assert_close(gradient, residual)
    torch.testing.assert_close(prior.energy(x), wanted)
    assert not prior.has_energy


def test_the_report_is_no_energy_of_a_nonlinear_denoiser() -> None:
    prior, x = trained_like(dtype=torch.float64), pictures(1)
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    slope = (prior.report(x + 1e-5 * step) - prior.report(x - 1e-5 * step)) / 2e-5
    assert abs(float(slope) / float((prior.gradient(x) * step).sum()) - 1) > 0.01


def test_weights_do_not_depend_on_the_size_of_the_picture() -> None:
    prior = wiener(0.3, 0.1)
    small, large = pictures(1, 8), pictures(1, 8).repeat(1, 1, 3, 3)
    torch.testing.assert_close(prior.report(large), prior.report(small))
    torch.testing.assert_close(9 * prior.gradient(large)[..., :8, :10], prior.gradient(small))


def test_float32_rows_are_bitwise_the_same_in_any_batch() -> None:
    prior, x = trained_like(), pictures(5, 16, torch.float32)
    whole = prior.gradient(x)
    for rows in ([0], [3], [1, 4], [4, 1, 0]):
        assert torch.equal(prior.gradient(x[rows]), whole[rows])
        assert torch.equal(prior.energy(x[rows]), prior.energy(x)[rows])


def test_it_neither_changes_its_input_nor_builds_a_graph() -> None:
    prior, x = trained_like(), pictures(2, dtype=torch.float32).requires_grad_()
    before = x.detach().clone()
    for result in (prior.gradient(x), prior.energy(x), prior.denoise(x)):
        assert not result.requires_grad
    assert torch.equal(x.detach(), before)


def test_the_node_of_the_graph_passes_the_residual_back() -> None:
    prior, x = trained_like(dtype=torch.float64), pictures(2).requires_grad_()
    (gradient,) = torch.autograd.grad((prior.differentiable(x) * torch.tensor([2.0, -1.0])).sum(), x)
    torch.testing.assert_close(gradient, prior.gradient(x) * torch.tensor([2.0, -1.0])[:, None, None, None])


def test_other_levels_share_the_tensors_and_give_the_network_at_that_level() -> None:
    prior, x = trained_like(), pictures(1, dtype=torch.float32)
    other = prior.at_noise(0.05)
    assert prior.at_noise(0.1) is prior
    assert all(a is b for a, b in zip(other.network.filters, prior.network.filters, strict=True))
    direct = 0.05 * prior.network.noise((x - 0.5) / 0.05, prior.network.biases_at(0.05))
    torch.testing.assert_close(x - other.denoise(x), direct, rtol=1e-4, atol=1e-6)
    assert other.to("cpu", torch.float64).noise == 0.05


@pytest.mark.parametrize("noise", [0.009, 0.31, float("nan")])
def test_levels_that_were_not_trained_are_refused(noise: float) -> None:
    with pytest.raises(InputError, match=r"noise: 0\.01 <= noise <= 0\.3 must hold"):
        trained_like().at_noise(noise)


def test_maps_of_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(B, 3, H, W\) is needed by this prior, but got \(B, 4, 8, 8\)"):
        trained_like().gradient(torch.zeros(1, 4, 8, 8))
    trained_like(channels=5).check((5, 1, 1))


def test_values_that_are_not_finite_and_units_that_do_not_fit_are_refused() -> None:
    prior = trained_like()
    tensors = prior.network.tensors()
    tensors["biases.1"] = torch.full_like(tensors["biases.1"], float("nan"))
    with pytest.raises(InputError, match="finite filters, biases and slopes"):
        Denoiser(NoiseNetwork.of(tensors, 2), prior.centre, 1.0, (0.01, 0.3), 0.1)
    for centre, unit in ((prior.centre[:2], 1.0), (prior.centre, 0.0), (prior.centre * float("inf"), 1.0)):
        with pytest.raises(InputError, match=r"finite centre of shape \(3,\) and a unit > 0"):
            Denoiser(prior.network, centre, unit, (0.01, 0.3), 0.1)


def test_reconstructions_follow_its_gradient_and_keep_it_out_of_the_objective() -> None:
    classifier = open_network("cifar_alexnet")
    target = classifier.features(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(5)), ["conv1/relu"])
    match = FeatureMatch("conv1/relu", target["conv1/relu"][0].detach())
    on_picture = Term("denoiser", trained_like(), 0.01)
    on_maps = Term("maps", trained_like(match.target.shape[0]).at_noise(0.2), 0.01, layer="conv1/relu")
    late = Term("late", trained_like(), 0.01, schedule=Schedule(((0, 0.0), (2, 1.0))))
    problems = [Problem((match,), terms, iterations=3) for terms in ((), (on_picture,), (on_maps,), (late,))]
    results = solve(classifier, problems, 32)
    for result, own in zip(results, (set(), {"denoiser.report"}, {"maps.report"}, {"late.report"}), strict=True):
        assert set(result.losses) == {"objective", "feature_loss"} | own
        assert result.losses["objective"] == result.losses["feature_loss"]
    changes = [float((result.image - results[0].image).abs().mean()) for result in results[1:]]
    assert min(changes) > 1e-4
    assert changes[2] < changes[0]
