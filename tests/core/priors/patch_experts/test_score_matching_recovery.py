"""Score matching finds what is known: mixed sources, the precision of a Gaussian, and one density in two forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from restoration_core.priors.expert_functions import EXPERTS, Expert
from restoration_core.priors.patch_experts.banks import FullBank
from restoration_core.priors.patch_experts.score_matching import grouped_score_matching_loss, score_matching_loss
from restoration_core.priors.patch_experts.whitened_patches.moments import PatchMoments
from restoration_core.priors.patch_experts.whitened_patches.whitening import Whitening, whiten
from tests.core.priors.quadratic import Quadratic

SOURCES, SAMPLES = 16, 50_000


class Scaled(Quadratic):
    """``G_c(s) = G(c s)`` of another expert: what a filter of norm c makes of it."""

    def __init__(self, expert: Expert, scale: float) -> None:
        self.expert, self.scale = expert, scale

    def derivative(self, s: Tensor) -> Tensor:
        return self.scale * self.expert.derivative(self.scale * s)

    def second_derivative(self, s: Tensor) -> Tensor:
        return self.scale**2 * self.expert.second_derivative(self.scale * s)


def logistic_sources(generator: torch.Generator) -> Tensor:
    """Independent samples of ``p(s) ~ cosh(s)^-2``, by its quantile function: alpha = 2 under the logistic expert."""
    u = torch.rand(SAMPLES, SOURCES, generator=generator, dtype=torch.float64)
    return torch.atanh(2 * u.clamp(1e-12, 1 - 1e-12) - 1).float()


def learn(z: Tensor, *, free_norms: bool, steps: int = 500) -> FullBank:
    generator = torch.Generator().manual_seed(1)
    bank = FullBank(SOURCES, SOURCES, EXPERTS["logistic"], free_norms, generator)
    optimizer = torch.optim.Adam(list(bank.leaves.values()), lr=0.03)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.03 * (1 - step / steps)
        optimizer.zero_grad()
        bank.loss(z[torch.randint(len(z), (1000,), generator=generator)]).backward()
        optimizer.step()
    return bank


def matched_cosines(found: Tensor, truth: Tensor) -> Tensor:
    """|cosine| of each true filter with the learned one that is closest, each learned one used once."""
    cosines = torch.nn.functional.normalize(found, dim=1) @ torch.nn.functional.normalize(truth, dim=1).T
    left, matched = cosines.abs().clone(), []
    for _ in range(len(truth)):
        row, column = divmod(int(left.argmax()), len(truth))
        matched.append(float(cosines[row, column].abs()))
        left[row], left[:, column] = -1, -1
    return torch.tensor(matched)


@pytest.mark.slow
@pytest.mark.parametrize("free_norms", [False, True], ids=["unit-norms", "free-norms"])
def test_mixed_logistic_sources_are_found_again(free_norms: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    sources = logistic_sources(generator)
    mixing = torch.randn(SOURCES, SOURCES, generator=generator)
    x = sources @ mixing.T
    moments = PatchMoments(1, SOURCES)
    moments.add(x.double())
    fitted = whiten(moments)
    whitening = Whitening(fitted.mean.float(), fitted.transforms.float())
    filters = learn(whitening.apply(x), free_norms=free_norms).kept()["filters"]
    effective, _ = whitening.fold(filters)
    # The truth on raw data are the rows of the inverse; it is compared where white data live.
    truth = torch.linalg.inv(mixing) @ torch.linalg.pinv(whitening.transform)
    assert matched_cosines(filters, truth).mean() >= 0.95
    # And on raw data: each response follows one source.
    responses = (x - x.mean(dim=0)) @ effective.T
    correlation = torch.corrcoef(torch.cat([responses.T, sources.T]))[:SOURCES, SOURCES:].abs()
    assert correlation.amax(dim=0).mean() >= 0.95


def test_free_norm_is_found_to_be_one_where_that_is_the_truth() -> None:
    # Samples of p(z) ~ cosh(z)^-2, which is the model itself with norm 1 and alpha 2, from another start.
    z = logistic_sources(torch.Generator().manual_seed(0)).double().reshape(-1, 1)[:100_000]
    filters = torch.tensor([[1.7]], dtype=torch.float64).requires_grad_()
    alpha = torch.tensor([0.8], dtype=torch.float64).requires_grad_()
    minimise(lambda: score_matching_loss(z, filters, alpha, EXPERTS["logistic"]), filters, alpha)
    assert float(filters.detach()) == pytest.approx(1.0, abs=0.02)
    assert float(alpha.detach()) == pytest.approx(2.0, abs=0.06)


def minimise(loss: Callable[[], Tensor], *leaves: Tensor) -> float:
    optimizer = torch.optim.LBFGS(leaves, max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(loss().detach())


def gaussian(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    z = torch.randn(5000, 6, generator=generator, dtype=torch.float64) @ mixing.T
    return z, z.T @ z / len(z)


def test_quadratic_expert_on_a_gaussian_has_its_closed_form() -> None:
    # log p = -1/2 z^T M z with M = sum_k alpha_k w_k w_k^T: J = -tr M + 1/2 tr(M C M).
    z, covariance = gaussian()
    generator = torch.Generator().manual_seed(2)
    filters = torch.randn(9, 6, generator=generator, dtype=torch.float64)
    alphas = torch.rand(9, generator=generator, dtype=torch.float64) + 0.1
    model = filters.T @ (alphas[:, None] * filters)
    expected = -model.trace() + 0.5 * (model @ covariance @ model).trace()
    torch.testing.assert_close(score_matching_loss(z, filters, alphas, Quadratic()), expected, rtol=1e-12, atol=0)


def test_quadratic_experts_learn_the_precision_of_a_gaussian() -> None:
    z, covariance = gaussian()
    filters = torch.eye(6, dtype=torch.float64).requires_grad_()
    ones = torch.ones(6, dtype=torch.float64)
    lowest = minimise(lambda: score_matching_loss(z, filters, ones, Quadratic()), filters)
    precision = torch.linalg.inv(covariance)
    learned = (filters.T @ filters).detach()
    torch.testing.assert_close(learned, precision, rtol=1e-4, atol=1e-4 * float(precision.abs().max()))
    # At the minimum J = -1/2 tr C^-1, which no other precision reaches.
    assert lowest == pytest.approx(-0.5 * float(precision.trace()), rel=1e-8)


@pytest.mark.parametrize("name", sorted(EXPERTS))
@pytest.mark.parametrize("norm", [0.3, 1.0, 2.5])
def test_filters_of_another_norm_are_unit_filters_of_a_scaled_expert(name: str, norm: float) -> None:
    # G(c u . z) as an expert of u alone: the ||w||^2 of eq. 8 is the c^2 of its second derivative.
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(50, 5, generator=generator, dtype=torch.float64)
    unit = torch.nn.functional.normalize(torch.randn(8, 5, generator=generator, dtype=torch.float64), dim=1)
    alphas = torch.rand(8, generator=generator, dtype=torch.float64) + 0.1
    free = score_matching_loss(z, norm * unit, alphas, EXPERTS[name])
    torch.testing.assert_close(free, score_matching_loss(z, unit, alphas, Scaled(EXPERTS[name], norm)))


def test_quadratic_loss_knows_alpha_and_norm_only_together() -> None:
    z, _ = gaussian()
    filters = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(
        score_matching_loss(z, filters, ones, Quadratic()), score_matching_loss(z, filters / 3, 9 * ones, Quadratic())
    )


@pytest.mark.parametrize("name", sorted(EXPERTS))
def test_loss_of_groups_is_the_sum_of_their_losses(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 40, 5, generator=generator, dtype=torch.float64)
    filters = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64)
    alphas = torch.rand(3, 7, generator=generator, dtype=torch.float64) + 0.1
    expected = sum(score_matching_loss(z[g], filters[g], alphas[g], EXPERTS[name]) for g in range(3))
    torch.testing.assert_close(grouped_score_matching_loss(z, filters, alphas, EXPERTS[name]), expected)
