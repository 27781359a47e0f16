"""The thesis's figures 9 and 10: the objective written out, and the schedules."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets, make_problem, thesis_fig9, thesis_fig10, thesis_foe
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import solve
from restoration_core.reconstruction.problem import MEAN_SQUARED_ERROR
from tests.core.objectives.conftest import LAYER, SIZE


def log_cosh_field(prior: PatchExperts, x: Tensor) -> Tensor:
    """``1/P sum_p sum_k alpha_k log cosh(w_k . x_p + b_k)``: minus eq. 9, averaged over the P patches."""
    filters, alphas, bias = (part.to(x.dtype) for part in (prior.filters, prior.alphas, prior.bias))
    responses = torch.nn.functional.conv2d(x[None], filters, bias)[0]
    return (alphas[:, None, None] * responses.cosh().log()).sum(0).mean()


@pytest.mark.parametrize(("build", "weight"), [(thesis_fig9, 1e-4), (thesis_fig10, 1e-3)])
def test_the_run_is_adam_on_the_normalised_loss_and_the_weighted_ica_prior(
    build: type, weight: float, small: Classifier, picture: Tensor, start: Tensor
) -> None:
    preset = build(small, LAYER)
    problem = make_problem(small, picture, LAYER, preset, initial=start, iterations=5)
    (result,) = solve(small, [problem], SIZE, dtype=torch.float64)
    target = feature_targets(small, picture, [LAYER])[LAYER]
    prior = preset.terms[0].prior
    assert (prior.patch_size, len(prior.alphas)) == (8, 512)

    def objective(x: Tensor) -> Tensor:
        phi = small.features(x[None], [LAYER])[LAYER][0]
        return (phi - target).square().sum() / target.square().sum() + weight * log_cosh_field(prior, x)

    x = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.004 if weight == 1e-4 else 0.01)
    for _ in range(5):
        optimizer.zero_grad()
        objective(x).backward()
        optimizer.step()
    torch.testing.assert_close(result.image, x.detach(), rtol=0, atol=1e-7)
    assert result.losses["objective"] == pytest.approx(objective(x).item(), rel=1e-6)


def test_schedules_are_those_of_the_text(small: Classifier) -> None:
    first, fourth = thesis_fig9(small, "conv1/relu"), thesis_fig10(small, "conv4/relu")
    assert (first.iterations, fourth.iterations) == (5000, 10_000)
    assert {first.learning_rate.at(step) for step in (0, 4999)} == {0.004}
    steps = (0, 999, 1000, 1199, 1200, 2999, 3000, 5999, 6000, 8999, 9000, 9999)
    rates = [0.01, 0.01, 4e-3, 4e-3, 1e-3, 1e-3, 4e-4, 4e-4, 1e-4, 1e-4, 4e-5, 4e-5]
    assert [fourth.learning_rate.at(step) for step in steps] == rates


def test_rows_of_a_batch_share_the_prior(small: Classifier) -> None:
    assert thesis_fig9(small, LAYER).terms[0].prior is thesis_fig10(small, LAYER).terms[0].prior


@pytest.mark.parametrize(
    ("layer", "weight", "positions"),
    [
        ("conv1/lin", 1e-6, 1),
        ("conv1/relu", 1e-4, 1),
        ("pool1", 1e-3, 2),
        ("conv2/lin", 3e-3, 3),
        ("pool2", 1e-3, 5),
        ("conv3/relu", 1e-3, 5),
        ("conv4/lin", 1e-4, 5),
        ("fc6/relu", 1e-4, 9),
    ],
)
def test_student_t_runs_have_the_published_weights_and_shifts(
    alexnet: Classifier, layer: str, weight: float, positions: int
) -> None:
    preset = thesis_foe(alexnet, layer)
    assert (preset.terms[0].weight, preset.jitter) == (weight, positions)


def test_against_the_normalised_loss_the_student_t_weight_is_n_over_the_squared_norm_times_as_large(
    small: Classifier, picture: Tensor, start: Tensor
) -> None:
    # mean square + w E = (||phi_0||^2 / N) (normalised loss + w N / ||phi_0||^2 E), with E the mean over patches of
    # sum_k alpha_k log(1 + s_k^2 / 2).
    preset = thesis_foe(small, LAYER)
    terms = (replace(preset.terms[0], schedule=None),)  # as from step 5000 on
    problem = make_problem(small, picture, LAYER, preset, initial=start, iterations=1, jitter=1, terms=terms)
    (result,) = solve(small, [problem], SIZE, dtype=torch.float64)
    phi, target = (feature_targets(small, x, [LAYER])[LAYER] for x in (start, picture))
    prior = preset.terms[0].prior
    assert isinstance(prior, PatchExperts)
    filters, alphas, bias = (part.double() for part in (prior.filters, prior.alphas, prior.bias))
    responses = torch.nn.functional.conv2d(start[None], filters, bias)[0]
    energy = (alphas[:, None, None] * (1 + responses**2 / 2).log()).sum(0).mean()
    scale = target.numel() / target.square().sum()
    normalised = (phi - target).square().sum() / target.square().sum() + preset.terms[0].weight * scale * energy
    assert result.curves["objective"][0] * scale.item() == pytest.approx(normalised.item(), rel=1e-6)


def test_the_student_t_prior_sets_in_after_5000_of_10000_steps_against_the_plain_mean_squared_error(
    small: Classifier,
) -> None:
    preset = thesis_foe(small, LAYER)
    (term,) = preset.terms
    assert [term.weight_at(step) for step in (0, 4999, 5000, 9999)] == [0, 0, term.weight, term.weight]
    assert (preset.iterations, preset.normalization, preset.bound) == (10_000, MEAN_SQUARED_ERROR, None)
    assert 255 * preset.learning_rate.at(0) == pytest.approx(1)
    assert 255 * preset.initial_std == pytest.approx(1.1)
    shorter = preset.with_iterations(10).terms[0]
    assert [shorter.weight_at(step) for step in (4, 5)] == [0, term.weight]
