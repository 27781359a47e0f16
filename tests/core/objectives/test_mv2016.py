"""MV16's constants in the units of the paper: its objective and its steps written out on 0..255 mean-free pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets, make_problem, mv2016, mv2016_adam, mv2016_thesis, none
from restoration_core.reconstruction import Problem, solve
from restoration_core.reconstruction.problem import CANVAS, NORMAL, UNIFORM, WINDOW, ZERO_PADDED
from tests.core.objectives.conftest import LAYER, SIZE

B, ALPHA, BETA, C = 80.0, 6, 2, 300.0


def mean_of(classifier: Classifier) -> Tensor:
    return torch.tensor(classifier.mean, dtype=torch.float64).reshape(3, 1, 1)


def paper_priors(z: Tensor) -> Tensor:
    """``N_alpha / (H W B^alpha) + TV / (H W V^beta)``, V = B / 6.5, the last row and column repeated."""
    pixels = z.shape[-2] * z.shape[-1]
    range_ = (z.square().sum(0) ** (ALPHA / 2)).sum() / pixels / B**ALPHA
    down, right = z[:, 1:] - z[:, :-1], z[..., 1:] - z[..., :-1]
    return range_ + (down.square().sum() + right.square().sum()) / pixels / (B / 6.5) ** BETA


def paper_objective(classifier: Classifier, picture: Tensor) -> Callable[[Tensor], Tensor]:
    """``E(z) = C ||phi - phi_0||^2 / ||phi_0||^2 + priors`` with C = 300 at conv2."""
    target = feature_targets(classifier, picture, [LAYER])[LAYER]

    def energy(z: Tensor) -> Tensor:
        phi = classifier.features((mean_of(classifier) + z / 255)[None], [LAYER])[LAYER][0]
        return C * (phi - target).square().sum() / target.square().sum() + paper_priors(z)

    return energy


def test_value_and_gradient_of_the_priors_are_the_papers_up_to_c(alexnet: Classifier) -> None:
    preset = mv2016(alexnet, "conv4/relu")  # C = 100
    x = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = sum(term.weight * float(term.prior.energy(x)) for term in preset.terms)
    slope = torch.stack([term.weight * term.prior.gradient(x)[0] for term in preset.terms]).sum(0)
    z = (255 * (x[0] - mean_of(alexnet))).requires_grad_()
    paper = paper_priors(z)
    (gradient,) = torch.autograd.grad(paper, z)
    assert ours == pytest.approx(paper.item() / 100, rel=1e-10)
    torch.testing.assert_close(slope, 255 * gradient / 100, rtol=1e-9, atol=0)


def test_the_run_is_the_papers_step_by_step(small: Classifier, picture: Tensor, start: Tensor) -> None:
    # 7 steps at lr = 0.05 H W B^2 / alpha and 1 at a tenth, as 300 and 50; stride 2 at this layer: no jitter.
    preset = mv2016(small, LAYER).with_iterations(8)
    problem = make_problem(small, picture, LAYER, preset, initial=start)
    (result,) = solve(small, [problem], SIZE, dtype=torch.float64)
    energy = paper_objective(small, picture)
    z = 255 * (start - mean_of(small))
    squares, velocity = torch.zeros_like(z), torch.zeros_like(z)
    for step in range(8):
        rate = SIZE**2 * 0.05 * B**2 / ALPHA / (1 if step < 7 else 10)
        leaf = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(leaf), leaf)
        squares = 0.9 * squares + gradient**2
        velocity = 0.9 * velocity - gradient / (1 / rate + squares.sqrt())
        z = z + velocity
        z = z * (2 * B / z.norm(dim=0)).clamp(max=1)
    expected = mean_of(small) + z / 255
    assert (expected - start).abs().max() > 5 / 255
    assert expected.min() > 0
    assert expected.max() < 1  # shown pictures are clamped
    torch.testing.assert_close(result.image, expected, rtol=0, atol=1e-9)
    assert C * result.losses["objective"] == pytest.approx(energy(z).item(), rel=1e-8)


def test_the_step_grows_with_the_pixels(alexnet: Classifier) -> None:
    # On 0..255 the paper's lr is 0.05 * 80^2 / 6 per pixel; C = 100 and the change to [0, 1] make it C / 255 of that.
    rate = mv2016(alexnet, "conv4/relu").rate_at(224, 200)
    assert rate.at(0) == pytest.approx(224 * 200 * (0.05 * 6400 / 6) * 100 / 255)
    assert [start for start, _ in rate.pieces] == [0, 300]
    assert rate.at(300) == pytest.approx(rate.at(0) / 10)


def test_bound_jitter_and_length_are_the_papers(alexnet: Classifier) -> None:
    preset = mv2016(alexnet, "conv4/relu")
    assert (preset.bound, preset.iterations, preset.jitter, preset.jitter_until) == (160, 350, 4, 300)
    assert (preset.optimizer, preset.momentum, preset.jitter_canvas) == ("adagrad", 0.9, CANVAS)


def test_the_start_is_uniform_with_its_quantile_at_b_over_root_three(small: Classifier) -> None:
    preset = mv2016(small, LAYER).with_iterations(1)
    problem = make_problem(small, torch.rand(3, 40, 40).double(), LAYER, preset, snapshots=(0,))
    (result,) = solve(small, [problem], 40, dtype=torch.float64)
    z = 255 * (result.snapshots[0] - mean_of(small))
    assert preset.initial_noise == UNIFORM
    assert z.abs().quantile(0.95).item() == pytest.approx(80 / 3**0.5, rel=1e-3)
    assert z.abs().max().item() == pytest.approx(80 / 3**0.5 / 0.95, rel=0.02)


def test_with_adam_priors_bound_and_jitter_stay_and_the_rate_is_the_thesis_authors(alexnet: Classifier) -> None:
    paper, ours = mv2016(alexnet, "conv4/relu"), mv2016_adam(alexnet, "conv4/relu")
    assert (ours.terms, ours.bound, ours.jitter, ours.iterations) == (paper.terms, 160, 4, 350)
    assert (ours.optimizer, ours.initial_noise, ours.jitter_canvas) == ("adam", NORMAL, WINDOW)
    assert [255 * ours.rate_at(64, 64).at(step) for step in (0, 299, 300)] == pytest.approx(
        [1e-2 * 6400 / 6, 1e-2 * 6400 / 6, 1e-3 * 6400 / 6]
    )


def test_the_thesis_authors_schedule_and_shifts(alexnet: Classifier) -> None:
    preset = mv2016_thesis(alexnet, "conv4/relu")
    assert (preset.iterations, preset.jitter_until, preset.jitter_canvas) == (3500, 2750, ZERO_PADDED)
    assert preset.jitter == 5  # shifts by 0, 1, 2, 3 or 4 pixels
    assert [255 * preset.learning_rate.at(step) for step in (0, 999, 1000, 2000, 3499)] == pytest.approx(
        [f * 6400 / 6 for f in (1e-2, 1e-2, 3e-3, 1e-3, 1e-3)]
    )


@pytest.mark.parametrize("build", [mv2016, mv2016_adam, mv2016_thesis])
def test_no_preset_starts_from_the_target(build: Callable[..., object], small: Classifier, picture: Tensor) -> None:
    problem: Problem = make_problem(small, picture, LAYER, build(small, LAYER))  # type: ignore[arg-type]
    assert problem.initial is None


def test_no_prior_means_none(alexnet: Classifier) -> None:
    preset = none(alexnet, "conv4/relu")
    assert (preset.terms, preset.bound, preset.jitter, preset.jitter_until) == ((), None, 1, None)
    assert preset.learning_rate == mv2016_adam(alexnet, "conv4/relu").learning_rate
