"""The score-matching loss against its definition: Laplacian and gradient of the log-density by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.priors.expert_functions import EXPERTS, Expert
from restoration_core.priors.patch_experts.score_matching import score_matching_loss

NAMES = sorted(EXPERTS)


def by_definition(z: Tensor, filters: Tensor, alphas: Tensor, expert: Expert) -> Tensor:
    """``mean_t [ sum_i d2 log p / dz_i^2 + 1/2 || grad log p ||^2 ]`` by automatic differentiation alone."""

    values = []
    for sample in z.detach().requires_grad_().unbind():
        log_density = (alphas * expert.log_density(filters @ sample)).sum()
        (score,) = torch.autograd.grad(log_density, sample, create_graph=True)
        rows = [torch.autograd.grad(part, sample, retain_graph=True)[0] for part in score]
        values.append(torch.stack(rows).trace() + 0.5 * score.square().sum())
    return torch.stack(values).mean()


def model(unit: bool) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    filters = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    alphas = torch.rand(8, generator=generator, dtype=torch.float64) + 0.2
    return z, F.normalize(filters, dim=1) if unit else filters, alphas


@pytest.mark.parametrize("unit", [True, False], ids=["unit-norms", "free-norms"])
@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_definition_of_score_matching(name: str, unit: bool) -> None:
    z, filters, alphas = model(unit)
    expected = by_definition(z, filters, alphas, EXPERTS[name])
    torch.testing.assert_close(score_matching_loss(z, filters, alphas, EXPERTS[name]), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_unit_norm_loss_is_the_printed_equation_written_out(name: str) -> None:
    z, filters, alphas = model(unit=True)
    expert, total = EXPERTS[name], 0.0
    for sample in z:
        s = [float(w @ sample) for w in filters]
        g = [float(expert.derivative(torch.tensor(v, dtype=torch.float64))) for v in s]
        slope = [float(expert.second_derivative(torch.tensor(v, dtype=torch.float64))) for v in s]
        total += sum(float(a) * v for a, v in zip(alphas, slope, strict=True))
        for j in range(len(filters)):
            for k in range(len(filters)):
                total += 0.5 * float(alphas[j] * alphas[k] * (filters[j] @ filters[k])) * g[j] * g[k]
    assert float(score_matching_loss(z, filters, alphas, expert)) == pytest.approx(total / len(z), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_loss_passes_gradcheck_in_filters_and_alphas(name: str) -> None:
    z, filters, alphas = model(unit=False)
    leaves = (filters.requires_grad_(), alphas.requires_grad_())
    assert torch.autograd.gradcheck(lambda w, a: score_matching_loss(z, w, a, EXPERTS[name]), leaves)


@pytest.mark.slow
def test_minimum_over_alpha_is_at_the_density_the_samples_came_from() -> None:
    # p(z) ~ (cosh z)^-2 is the logistic density with alpha = 2; its quantile function is atanh(2 u - 1).
    u = torch.rand(2_000_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    z = torch.atanh(2 * u - 1)[:, None]
    one = torch.ones(1, 1, dtype=torch.float64)
    candidates = torch.linspace(1.5, 2.5, 21, dtype=torch.float64)
    losses = [float(score_matching_loss(z, one, a.reshape(1), EXPERTS["logistic"])) for a in candidates]
    assert float(candidates[torch.tensor(losses).argmin()]) == pytest.approx(2.0, abs=0.051)
