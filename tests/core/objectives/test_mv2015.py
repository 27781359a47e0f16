"""MV15's constants in the units of the paper: on 0..255 mean-free pixels, and sigma-scaled as in eq. 3."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets, make_problem, mv2015
from restoration_core.reconstruction import solve
from restoration_core.reconstruction.problem import UNIT_NORM
from tests.core.objectives.conftest import LAYER, SIZE

SIGMA = 2.7098e4  # at 227 px


def mean_of(classifier: Classifier) -> Tensor:
    return torch.tensor(classifier.mean, dtype=torch.float64).reshape(3, 1, 1)


def variation(z: Tensor) -> Tensor:
    return (z[:, 1:] - z[:, :-1]).square().sum() + (z[..., 1:] - z[..., :-1]).square().sum()


@pytest.mark.parametrize(("layer", "weight"), [("conv2/relu", 1), ("conv5/lin", 100)])
def test_value_and_gradient_of_the_priors_are_the_papers_at_227_px(
    small: Classifier, layer: str, weight: float
) -> None:
    x = torch.rand(1, 3, 227, 227, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    terms = mv2015(small, layer).terms
    ours = sum(term.weight * float(term.prior.energy(x)) for term in terms)
    slope = torch.stack([term.weight * term.prior.gradient(x)[0] for term in terms]).sum(0)
    z = (255 * (x[0] - mean_of(small))).requires_grad_()
    paper = (weight / 2 * variation(z) + 8e-10 / 2 * z.pow(6).sum()) / SIGMA**2
    (gradient,) = torch.autograd.grad(paper, z)
    assert ours == pytest.approx(paper.item(), rel=1e-10)
    torch.testing.assert_close(slope, 255 * gradient, rtol=1e-8, atol=1e-14)


def test_constants_of_the_sigma_scaled_pre_image_are_those_of_equation_3(small: Classifier) -> None:
    # With y = z / sigma: lambda_TV / 2 = 5 at conv4, lambda_alpha / 2 = 4e-10 sigma^4 = 2.16e8, sums over pixels.
    x = torch.rand(1, 3, 227, 227, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = 255 * (x[0] - mean_of(small)) / SIGMA
    tv, norm = mv2015(small, "conv4/relu").terms
    assert tv.weight * float(tv.prior.energy(x)) == pytest.approx(5 * variation(y).item(), rel=1e-10)
    assert pytest.approx(2.16e8, rel=2e-3) == 4e-10 * SIGMA**4
    assert norm.weight * float(norm.prior.energy(x)) == pytest.approx(2.16e8 * y.pow(6).sum().item(), rel=2e-3)


def test_the_run_is_the_papers_step_by_step_in_the_sigma_scaled_pre_image(
    small: Classifier, picture: Tensor, start: Tensor
) -> None:
    # 4 steps at 0.004, 8 at a tenth, 4 at a hundredth, as 100, 200 and 100; momentum 0.9 starts anew at each change.
    preset = mv2015(small, LAYER).with_iterations(16)
    problem = make_problem(small, picture, LAYER, preset, initial=start)
    (result,) = solve(small, [problem], SIZE, dtype=torch.float64)
    sigma = SIGMA * SIZE / 227  # a norm grows with the root of the number of pixels
    target = feature_targets(small, picture, [LAYER])[LAYER]

    def energy(y: Tensor) -> Tensor:
        phi = small.features((mean_of(small) + sigma * y / 255)[None], [LAYER])[LAYER][0]
        loss = (phi - target).square().sum() / target.square().sum()
        return loss + 0.5 * variation(y) + 4e-10 * sigma**4 * y.pow(6).sum()

    y = 255 * (start - mean_of(small)) / sigma
    velocity = torch.zeros_like(y)
    for step in range(16):
        if step in (4, 12):
            velocity.zero_()
        leaf = y.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(leaf), leaf)
        velocity = 0.9 * velocity - (0.004 if step < 4 else 0.0004 if step < 12 else 0.00004) * gradient
        y = y + velocity
    expected = mean_of(small) + sigma * y / 255
    assert (expected - start).abs().max() > 2 / 255
    assert expected.min() > 0
    assert expected.max() < 1  # shown pictures are clamped
    torch.testing.assert_close(result.image, expected, rtol=0, atol=1e-10)
    assert result.losses["objective"] == pytest.approx(energy(y).item(), rel=1e-8)


def test_start_length_and_absence_of_jitter_and_bound_are_the_papers(alexnet: Classifier) -> None:
    preset = mv2015(alexnet, "conv4/relu")
    assert (preset.iterations, preset.jitter, preset.bound) == (400, 1, None)
    assert (preset.optimizer, preset.momentum, preset.initial_noise) == ("momentum", 0.9, UNIT_NORM)
    assert 255 * preset.initial_std * (3 * 227 * 227) ** 0.5 == pytest.approx(SIGMA)


def test_the_rate_on_0_to_255_is_0_004_sigma_squared(alexnet: Classifier) -> None:
    rate = mv2015(alexnet, "conv4/relu").rate_at(227, 227)
    assert [255**2 * rate.at(step) / SIGMA**2 for step in (0, 99, 100, 299, 300, 399)] == pytest.approx(
        [0.004, 0.004, 0.0004, 0.0004, 0.00004, 0.00004]
    )
