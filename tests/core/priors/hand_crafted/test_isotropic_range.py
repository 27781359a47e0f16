"""The isotropic range prior and its hard bound against hand computation, autograd and gradcheck."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange, project_to_bound

MEAN = (0.4, 0.5, 0.6)


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 4.0, 6.0])
def test_energy_of_one_coloured_pixel_equals_the_hand_computed_value(alpha: float) -> None:
    x = torch.tensor(MEAN, dtype=torch.float64).reshape(1, 3, 1, 1).repeat(1, 1, 2, 2)
    x[0, 0, 0, 0] += 0.3
    x[0, 2, 0, 0] -= 0.4  # a norm of 0.5 at one of four pixels
    assert IsotropicRange(alpha, MEAN).energy(x).item() == pytest.approx(0.5**alpha / 4, rel=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
def test_closed_form_passes_gradcheck_and_equals_autograd(alpha: float) -> None:
    x = picture(2, 3, 3, 4).requires_grad_()
    prior = IsotropicRange(alpha, MEAN)
    assert torch.autograd.gradcheck(prior.differentiable, x)
    centred = x - torch.tensor(MEAN, dtype=torch.float64).reshape(1, 3, 1, 1)
    (expected,) = torch.autograd.grad(centred.square().sum(1).pow(alpha / 2).mean((1, 2)).sum(), x)
    torch.testing.assert_close(prior.gradient(x.detach()), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0, 6.0])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 3, 1, 1)])
def test_the_mean_colour_has_zero_energy_and_zero_gradient(alpha: float, shape: tuple[int, ...]) -> None:
    x = torch.tensor(MEAN).reshape(1, 3, 1, 1).expand(shape).contiguous()
    assert IsotropicRange(alpha, MEAN).energy(x).eq(0).all()
    assert IsotropicRange(alpha, MEAN).gradient(x).eq(0).all()


def test_gradient_leaves_its_input_alone_and_rows_are_alone() -> None:
    x = picture(4, 3, 5, 5)
    before = x.clone()
    prior = IsotropicRange(6.0, MEAN)
    whole = prior.gradient(x)
    assert torch.equal(x, before)
    assert torch.equal(whole[3:], prior.gradient(x[3:]))
    assert torch.equal(whole, prior.gradient(x.contiguous(memory_format=torch.channels_last)))


def test_projection_moves_only_pixels_beyond_the_bound_and_keeps_their_direction() -> None:
    x = picture(3, 3, 6, 6) * 2
    centre = torch.tensor(MEAN, dtype=torch.float64).reshape(1, 3, 1, 1)
    before = (x - centre) * 255
    after = (project_to_bound(x.clone(), 160.0, MEAN) - centre) * 255
    norms, new_norms = before.norm(dim=1), after.norm(dim=1)
    assert (norms > 160).any()
    assert (norms < 160).any()
    torch.testing.assert_close(new_norms, norms.clamp(max=160))
    cosine = (before * after).sum(1) / (norms * new_norms)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_projection_takes_a_bound_per_row_and_survives_the_mean_itself() -> None:
    x = picture(2, 3, 4, 4)
    x[0] = torch.tensor(MEAN).reshape(3, 1, 1)
    bounds = torch.tensor([10.0, 20.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    out = project_to_bound(x, bounds, MEAN)
    assert out is x
    norms = 255 * (out - torch.tensor(MEAN, dtype=torch.float64).reshape(1, 3, 1, 1)).norm(dim=1)
    assert norms.isfinite().all()
    assert norms[0].max() < 1e-4
    assert norms[1].max() <= 20 * (1 + 1e-12)


def test_a_mean_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"isotropic_range\.mean has 3 values for 1 channels"):
        IsotropicRange(6.0, MEAN).energy(torch.rand(1, 1, 4, 4))


def test_exponent_below_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"isotropic_range\.alpha must be >= 1, but got 0"):
        IsotropicRange(0.0)
