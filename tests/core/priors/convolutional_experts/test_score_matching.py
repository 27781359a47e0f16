"""Score matching of fields: Gaussian closed forms, autograd for score and divergence, one form against the other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.priors.convolutional_experts.convolution import back_project, pool, pool_adjoint, row_kernels
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.score_matching import (
    FieldParameters,
    denoising_score_matching_loss,
    field_score,
    implicit_score_matching_loss,
)
from restoration_core.priors.expert_functions import EXPERTS, Expert
from tests.core.priors.quadratic import Quadratic

SIGMAS = torch.tensor([0.3, 0.7], dtype=torch.float64)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_field(*, count: int = 3, channels: int = 2, size: int = 3, scales: int = 2) -> FieldParameters:
    parts = normal(1, count, channels, size, size) / size, normal(2, count) / 4
    positive = (0.3 * normal(seed, len(SIGMAS), scales, count) - 1 for seed in (3, 4))
    leaves = [part.requires_grad_() for part in (*parts, *(part.exp() for part in positive))]
    return FieldParameters(*leaves)


def prior_of(field: FieldParameters, expert: Expert, boundary: str, level: int) -> ConvolutionalExperts:
    parts = (part.detach() for part in (field.filters, field.bias, field.alphas, field.gammas))
    return ConvolutionalExperts(*parts, SIGMAS.tolist(), expert, boundary=boundary, noise=float(SIGMAS[level]))


def test_transposed_convolution_and_pooling_are_the_adjoints() -> None:
    filters, responses = normal(1, 5, 3, 4, 4), normal(2, 2, 5, 7, 6)
    expected = torch.nn.functional.conv_transpose2d(responses, filters)
    torch.testing.assert_close(back_project(responses, row_kernels(filters)), expected, rtol=1e-11, atol=1e-12)
    x, y = normal(3, 2, 3, 11, 9), normal(4, 2, 3, 3, 3)
    torch.testing.assert_close((pool(x, 4) * y).sum(), (x * pool_adjoint(y, 4, 11, 9)).sum())


@pytest.mark.parametrize("boundary", ["reflect", "valid"])
@pytest.mark.parametrize("name", sorted(EXPERTS))
def test_the_score_is_minus_the_gradient_of_the_prior_times_its_pixels(name: str, boundary: str) -> None:
    field, y = random_field(), normal(5, 4, 2, 10, 12)
    levels = torch.tensor([0, 1, 1, 0])
    score, _ = field_score(y, levels, field, EXPERTS[name], boundary)
    for row, level in enumerate(levels.tolist()):
        gradient = prior_of(field, EXPERTS[name], boundary, level).gradient(y[row : row + 1])
        torch.testing.assert_close(score[row : row + 1].detach(), -gradient * 120, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(EXPERTS))
def test_the_divergence_is_the_trace_of_the_scores_jacobian_by_autograd(name: str) -> None:
    field, y = random_field(), normal(5, 1, 2, 6, 6)
    level = torch.tensor([1])
    _, divergence = field_score(y, level, field, EXPERTS[name], "valid")

    def score(flat: Tensor) -> Tensor:
        return field_score(flat.reshape(y.shape), level, field, EXPERTS[name], "valid")[0].flatten()

    jacobian = torch.autograd.functional.jacobian(score, y.flatten())
    torch.testing.assert_close(divergence[0], jacobian.trace(), rtol=1e-10, atol=1e-12)


def test_both_forms_have_the_same_expectation_and_gradient() -> None:
    # On 6,000 noisy maps, whatever the field: partial integration. The mean is within 4.5 standard errors of no
    # difference, in the loss and in its slope along every parameter.
    field, expert = random_field(), EXPERTS["student_t"]
    parameters = [field.filters, field.bias, field.alphas, field.gammas]
    differences: list[Tensor] = []
    for part in range(30):
        x, noise = normal(100 + part, 200, 2, 4, 4) ** 3, normal(500 + part, 200, 2, 4, 4)
        levels = torch.arange(200) % 2
        small = FieldParameters(field.filters[..., :2, :2], *parameters[1:])
        denoising = denoising_score_matching_loss(x, noise, levels, SIGMAS, small, expert, "valid")
        y = x + SIGMAS[levels][:, None, None, None] * noise
        difference = denoising - implicit_score_matching_loss(y, levels, SIGMAS, small, expert)
        slopes = torch.autograd.grad(difference, parameters)
        differences.append(torch.cat([difference.detach()[None], *(slope.flatten() for slope in slopes)]))
    stacked = torch.stack(differences)
    error = stacked.std(dim=0) / len(stacked) ** 0.5
    assert float((stacked.mean(dim=0).abs() / error.clamp(min=1e-12)).max()) < 4.5
    # The test can fail: the losses themselves are far from zero, in those units.
    assert float(denoising.detach()) > 20 * float(error[0])


@pytest.mark.parametrize("objective", ["denoising", "implicit"])
def test_a_quadratic_expert_on_white_gaussian_maps_reaches_its_closed_form(objective: str) -> None:
    # One filter of one pixel: psi(y) = -a y with a = alpha gamma^2 w^2. The density of x + sigma n is normal with
    # variance v + sigma^2, so a = 1 / (v + sigma^2) and the loss is v / (v + sigma^2).
    variance, shape = 0.25, (400, 1, 8, 8)
    x, noise, levels = variance**0.5 * normal(1, *shape), normal(2, *shape), torch.arange(400) % 2
    log_alphas = torch.zeros(2, 1, 1, dtype=torch.float64, requires_grad=True)
    fixed = torch.full((1, 1, 1, 1), 1.5, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    optimizer = torch.optim.LBFGS([log_alphas], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        field = FieldParameters(*fixed, log_alphas.exp(), torch.full((2, 1, 1), 2.0, dtype=torch.float64))
        if objective == "denoising":
            return denoising_score_matching_loss(x, noise, levels, SIGMAS, field, Quadratic(), "valid")
        y = x + SIGMAS[levels][:, None, None, None] * noise
        return implicit_score_matching_loss(y, levels, SIGMAS, field, Quadratic())

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    curvatures = log_alphas.detach().exp().flatten() * (2.0 * 1.5) ** 2
    expected = 1 / (variance + SIGMAS.square())
    torch.testing.assert_close(curvatures, expected, rtol=0.05, atol=0)
    assert float(loss().detach()) == pytest.approx(float((variance * expected).mean()), rel=0.05)


def test_free_norms_carry_the_squared_norm_and_unit_norms_agree_with_the_patch_form() -> None:
    # Maps of one patch: eq. 8 for patches, doubled, times sigma^2 / D and shifted by 1, is the field's loss.
    from restoration_core.priors.patch_experts.score_matching import score_matching_loss

    y, expert = normal(7, 50, 2, 3, 3), EXPERTS["student_t"]
    levels, one = torch.zeros(50, dtype=torch.long), torch.ones(1, 1, 4, dtype=torch.float64)
    alphas = normal(8, 4).exp()
    for norm in (1.0, 2.5):
        filters = normal(9, 4, 18)
        filters = norm * filters / filters.norm(dim=1, keepdim=True)
        field = FieldParameters(filters.reshape(4, 2, 3, 3), torch.zeros(4, dtype=torch.float64), alphas * one, one)
        found = implicit_score_matching_loss(y, levels, SIGMAS[:1], field, expert)
        expected = 1 + SIGMAS[0] ** 2 * 2 * score_matching_loss(y.flatten(1), filters, alphas, expert) / 18
        torch.testing.assert_close(found, expected)
