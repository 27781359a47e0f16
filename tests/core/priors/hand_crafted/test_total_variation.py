"""Total variation against hand computation, autograd and gradcheck."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.hand_crafted.total_variation import TotalVariation


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def plain(x: Tensor, beta: float) -> Tensor:
    """The definition written with a replicated edge, for autograd."""
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1), mode="replicate")
    down, right = padded[..., 1:, :-1] - x, padded[..., :-1, 1:] - x
    return ((down**2 + right**2) ** (beta / 2)).sum((1, 2, 3)) / (x.shape[2] * x.shape[3])


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
def test_energy_of_a_step_equals_the_hand_computed_value(beta: float) -> None:
    x = torch.zeros(1, 1, 2, 3, dtype=torch.float64)
    x[..., 2] = 0.5  # two right differences of 0.5, six pixels
    assert TotalVariation(beta).energy(x).item() == pytest.approx(2 * 0.5**beta / 6, rel=1e-12)


def test_energy_of_a_corner_takes_the_root_of_both_differences_together() -> None:
    x = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    x[0, 0, 0, 0] = 1.0
    assert TotalVariation(1.0).energy(x).item() == pytest.approx(2**0.5 / 4, rel=1e-12)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 2.5, 3.0])
def test_energy_and_gradient_equal_autograd_of_the_definition(beta: float) -> None:
    x = picture(3, 3, 6, 5).requires_grad_()
    energy = plain(x, beta)
    # The last corner pixel has no difference at all: autograd has NaN there below beta = 2.
    (expected,) = torch.autograd.grad(energy.sum(), x)
    prior = TotalVariation(beta)
    torch.testing.assert_close(prior.energy(x.detach()), energy.detach(), rtol=1e-12, atol=0)
    got, finite = prior.gradient(x.detach()), expected.isfinite()
    assert finite.sum() >= finite.numel() - 3 * 3 * 1
    torch.testing.assert_close(got[finite], expected[finite], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
def test_closed_form_passes_gradcheck(beta: float) -> None:
    assert torch.autograd.gradcheck(TotalVariation(beta).differentiable, picture(2, 2, 4, 5).requires_grad_())


@pytest.mark.parametrize("beta", [1.0, 1.5, 1.999, 2.0, 4.0])
@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 1, 1), (1, 1, 1, 5), (1, 3, 5, 1)])
def test_constant_pictures_have_zero_energy_and_zero_gradient(beta: float, shape: tuple[int, ...]) -> None:
    x = torch.full(shape, 0.3)
    assert TotalVariation(beta).energy(x).eq(0).all()
    assert TotalVariation(beta).gradient(x).eq(0).all()


def test_gradient_below_the_clamp_shrinks_with_the_difference() -> None:
    x = torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    x[..., 1] = 1e-9
    gradient = TotalVariation(1.0).gradient(x)
    slope = 1e-9 / (1e-5 / 255**2) ** 0.5 / 2
    torch.testing.assert_close(gradient, torch.tensor([[[[-slope, slope]]]], dtype=torch.float64), rtol=1e-9, atol=0)


def test_value_does_not_grow_with_the_size_of_a_periodic_picture() -> None:
    tile = picture(1, 3, 8, 8)
    small, large = (
        TotalVariation(2.0).energy(tile.repeat(1, 1, 4, 4)),
        TotalVariation(2.0).energy(tile.repeat(1, 1, 8, 8)),
    )
    assert large.item() == pytest.approx(small.item(), rel=0.05)


def test_rows_are_alone_and_channels_last_input_gives_the_same() -> None:
    x = picture(4, 3, 6, 6)
    for beta in (1.5, 2.0):
        whole = TotalVariation(beta).gradient(x)
        assert torch.equal(whole[1:2], TotalVariation(beta).gradient(x[1:2]))
        assert torch.equal(whole, TotalVariation(beta).gradient(x.contiguous(memory_format=torch.channels_last)))


@pytest.mark.parametrize("beta", [0.5, float("nan"), float("inf")])
def test_exponent_below_one_is_refused(beta: float) -> None:
    with pytest.raises(InputError, match=r"total_variation\.beta must be >= 1, but got"):
        TotalVariation(beta)
