"""The alpha norm against hand computation, autograd and gradcheck."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("alpha", "expected"), [(1.0, 1.5), (2.0, 0.75), (6.0, 3 * 0.25**6 + 0.75**6)])
def test_energy_of_one_bright_pixel_equals_the_hand_computed_value(alpha: float, expected: float) -> None:
    x = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    x[0, 0, 0, 0] = 1.0  # mean 0.25: three deviations of 0.25, one of 0.75
    value = {1.0: 1.5, 2.0: 0.75}.get(alpha, expected)
    assert AlphaNorm(alpha).energy(x).item() == pytest.approx(value / 4, rel=1e-12)


@pytest.mark.parametrize("alpha", [1.5, 2.0, 3.0, 6.0])
def test_closed_form_passes_gradcheck(alpha: float) -> None:
    assert torch.autograd.gradcheck(AlphaNorm(alpha).differentiable, picture(2, 3, 3, 4).requires_grad_())


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0, 3.0, 6.0])
def test_gradient_equals_autograd_and_sums_to_zero(alpha: float) -> None:
    x = picture(3, 3, 4, 5).requires_grad_()
    energy = (x - x.mean((1, 2, 3), keepdim=True)).abs().pow(alpha).sum((1, 2, 3)) / 20
    (expected,) = torch.autograd.grad(energy.sum(), x)
    got = AlphaNorm(alpha).gradient(x.detach())
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-14)
    assert got.sum((1, 2, 3)).abs().max() < 1e-12  # adding a constant changes nothing


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0, 6.0])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 1, 1, 1)])
def test_constant_pictures_have_zero_energy_and_zero_gradient(alpha: float, shape: tuple[int, ...]) -> None:
    x = torch.full(shape, 0.5)
    assert AlphaNorm(alpha).energy(x).eq(0).all()
    assert AlphaNorm(alpha).gradient(x).eq(0).all()


def test_rows_are_alone() -> None:
    x = picture(4, 3, 5, 5)
    assert torch.equal(AlphaNorm(6.0).gradient(x)[2:3], AlphaNorm(6.0).gradient(x[2:3]))


def test_exponent_below_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"alpha_norm\.alpha must be >= 1, but got 0\.5"):
        AlphaNorm(0.5)
