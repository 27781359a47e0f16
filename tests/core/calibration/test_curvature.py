"""Curvature along noise against closed forms: quadratic energies, a linear network, a saturating expert."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from restoration_core.calibration.curvature import (
    NOISES,
    curvature_curve,
    draw_noise,
    feature_gradient,
    prior_gradient,
)
from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.prior import Prior

LEVELS = (0.01, 0.1, 0.5)


@dataclass(frozen=True, eq=False)
class Quadratic(Prior):
    """``1/2 x^T diag(scales) x``, the closed form to compare with."""

    scales: Tensor

    def energy(self, x: Tensor) -> Tensor:
        return 0.5 * (self.scales * x.square()).flatten(1).sum(1)

    def gradient(self, x: Tensor) -> Tensor:
        return self.scales * x


class Shrinkage(Prior):
    """A gradient of no energy: the difference to the mean colour of each picture's left half."""

    has_energy = False

    def energy(self, x: Tensor) -> Tensor:
        raise AssertionError("it has none")

    def gradient(self, x: Tensor) -> Tensor:
        return x - x[..., : x.shape[-1] // 2].mean(dim=(2, 3), keepdim=True)


def pictures(count: int = 2, side: int = 8, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_network(bias: bool = True) -> tuple[Classifier, nn.Conv2d]:
    torch.manual_seed(1)
    layer = nn.Conv2d(3, 5, 3, stride=2, bias=bias)
    classifier = Classifier(nn.Sequential(layer), "linear", {"conv": "0"}, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), 8)
    return classifier.to("cpu", torch.float64), layer.double()


def white(x: Tensor, seed: int = 3) -> Tensor:
    return draw_noise("white", x, torch.Generator().manual_seed(seed))


def test_a_quadratic_energy_has_its_rayleigh_quotient_at_every_level() -> None:
    x, scales = pictures(), pictures(1, seed=5)[0]
    noise = white(x)
    curve = curvature_curve(Quadratic(scales).gradient, x, noise, LEVELS)
    expected = (scales * noise.square()).flatten(1).sum(1) / noise.square().flatten(1).sum(1)
    assert curve.shape == (3, 2)
    torch.testing.assert_close(curve, expected.expand(3, 2))


def test_over_white_noise_a_quadratic_energy_has_trace_over_dimension() -> None:
    scales = pictures(1, seed=5)[0]
    x = torch.zeros(4000, 3, 8, 8, dtype=torch.float64)
    mean = float(curvature_curve(Quadratic(scales).gradient, x, white(x), (0.1,)).mean())
    # The standard error of the mean is about 0.02 / sqrt(4000).
    assert mean == pytest.approx(float(scales.mean()), abs=2e-3)


def test_total_variation_has_the_mean_degree_of_the_pixel_grid() -> None:
    height, width = 6, 9
    x = torch.rand(3000, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean = float(curvature_curve(TotalVariation(2.0).gradient, x, white(x), (0.05,)).mean())
    # The Hessian is 2 / (H W) times the graph Laplacian, whose trace counts every edge twice.
    edges = height * (width - 1) + width * (height - 1)
    assert mean == pytest.approx(2 / (height * width) * 2 * edges / (height * width), rel=0.01)


def test_the_curvature_of_student_t_falls_and_starts_at_its_second_derivative() -> None:
    filters = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64).reshape(1, 3, 1, 1)
    prior = PatchExperts(
        filters, torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), EXPERTS["student_t"]
    )
    x = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    noise = white(x)
    levels = (1e-5, 0.1, 0.3, 1.0, 3.0)
    curve = curvature_curve(prior.gradient, x, noise, levels)[:, 0]
    response = (filters[0] * noise[0]).sum(0)
    # -G = log(1 + r^2/2) with second derivative 1 at rest, and slope 2r / (2 + r^2) elsewhere.
    square = float(noise.square().sum())
    assert float(curve[0]) == pytest.approx(float(response.square().mean()) / square, rel=1e-6)
    expected = [float((response * 2 * s * response / (2 + (s * response) ** 2)).mean()) / (s * square) for s in levels]
    assert curve.tolist() == pytest.approx(expected)
    assert all(later < sooner for sooner, later in zip(curve.tolist(), curve.tolist()[1:], strict=False))


def test_the_features_of_a_linear_network_have_the_closed_form() -> None:
    classifier, layer = linear_network()
    x = pictures()
    noise = white(x)
    curve = curvature_curve(feature_gradient(classifier, "conv", x), x, noise, LEVELS)
    with torch.no_grad():
        target = layer(x - torch.tensor(classifier.mean, dtype=x.dtype).reshape(1, 3, 1, 1))
        moved = torch.nn.functional.conv2d(noise, layer.weight, stride=2)
    square = noise.square().flatten(1).sum(1)
    expected = 2 * moved.square().flatten(1).sum(1) / (target.square().flatten(1).sum(1) * square)
    torch.testing.assert_close(curve, expected.expand(3, 2))


def test_a_prior_on_a_map_is_pulled_back_to_the_picture() -> None:
    classifier, layer = linear_network()
    x = pictures()
    noise = white(x)
    prior = Quadratic(torch.full((), 3.0, dtype=torch.float64))
    curve = curvature_curve(prior_gradient(prior, "conv", classifier), x, noise, LEVELS)
    with torch.no_grad():
        moved = torch.nn.functional.conv2d(noise, layer.weight, stride=2)
    expected = 3 * moved.square().flatten(1).sum(1) / noise.square().flatten(1).sum(1)
    torch.testing.assert_close(curve, expected.expand(3, 2))


@pytest.mark.parametrize("layer", [None, "conv"])
def test_a_residual_without_an_energy_has_a_curvature(layer: str | None) -> None:
    classifier, _ = linear_network()
    x = pictures()
    curve = curvature_curve(prior_gradient(Shrinkage(), layer, classifier), x, white(x), LEVELS)
    assert bool((curve > 0).all())


def test_a_gradient_in_a_network_is_that_of_autograd() -> None:
    classifier, _ = linear_network()
    x, originals = pictures(seed=1), pictures(seed=2)
    leaf = x.clone().requires_grad_()
    target = classifier.features(originals, ["conv"])["conv"].detach()
    features = classifier.features(leaf, ["conv"])["conv"]
    loss = sum((f - t).square().sum() / t.square().sum() for f, t in zip(features, target, strict=True))
    (expected,) = torch.autograd.grad(loss, leaf)
    torch.testing.assert_close(feature_gradient(classifier, "conv", originals)(x), expected)


@pytest.mark.parametrize("kind", sorted(NOISES))
def test_noise_has_an_rms_of_one_and_follows_its_seed(kind: str) -> None:
    x = pictures(2, 32)
    noise = draw_noise(kind, x, torch.Generator().manual_seed(0))
    assert noise.shape == x.shape
    assert noise.dtype == x.dtype
    tolerance = 0.05 if kind == "white" else 1e-6
    assert noise.square().mean(dim=(1, 2, 3)).sqrt().tolist() == pytest.approx([1, 1], abs=tolerance)
    assert torch.equal(noise, draw_noise(kind, x, torch.Generator().manual_seed(0)))
    assert not torch.equal(noise, draw_noise(kind, x, torch.Generator().manual_seed(1)))


def test_pink_noise_has_a_power_that_falls_with_the_square_of_the_frequency() -> None:
    noise = draw_noise("pink", pictures(64, 32), torch.Generator().manual_seed(0))
    power = torch.fft.fft2(noise).abs().square().mean(dim=(0, 1))
    assert float(power[0, 0]) < 1e-6
    octaves = [math.log2(float(power[0, f]) / float(power[0, 2 * f])) for f in (1, 2, 4)]
    assert octaves == pytest.approx([2, 2, 2], abs=0.5)


def test_jitter_noise_leads_to_the_picture_moved_by_one_pixel() -> None:
    x = pictures(8)
    noise = draw_noise("jittered", x, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    moved = torch.stack([padded[..., t : t + 8, le : le + 8] for t, le in ((0, 1), (2, 1), (1, 0), (1, 2))]) - x
    cosines = torch.nn.functional.cosine_similarity(moved.flatten(2), noise.flatten(1)[None], dim=2)
    assert cosines.amax(0).tolist() == pytest.approx([1] * 8)
    assert len(set(cosines.argmax(0).tolist())) > 1  # so it is drawn from the generator


def test_jitter_noise_of_a_plain_picture_is_refused() -> None:
    with pytest.raises(InputError, match="one of a single colour has no jitter noise"):
        draw_noise("jittered", torch.full((1, 3, 8, 8), 0.5), torch.Generator())


def test_unknown_noise_is_refused() -> None:
    with pytest.raises(InputError, match="unknown noise 'whyte'; did you mean 'white'"):
        draw_noise("whyte", pictures(), torch.Generator())
