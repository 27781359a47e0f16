"""Conventions of total variation against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.hand_crafted.total_variation import TotalVariation

# 0 3    From the top left pixel 3 to the right and 4 down: v = 25. From the top right one -3 down: 9. From the bottom
# 4 0    left one -4 to the right: 16. The bottom right one has no neighbours, or its own value: 0.
PICTURE = torch.tensor([[[[0.0, 3.0], [4.0, 0.0]]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("edges", "beta", "total"),
    [
        ("replicate", 1.0, 5 + 3 + 4),
        ("replicate", 2.0, 25 + 9 + 16),
        ("replicate", 3.0, 125 + 27 + 64),
        ("trim", 1.0, 5),  # of the four pixels only the top left one has both neighbours
        ("trim", 2.0, 25),
        ("trim", 3.0, 125),
    ],
)
def test_sums_of_both_edges(edges: str, beta: float, total: float) -> None:
    # Always divided by all four pixels.
    assert TotalVariation(beta, edges).energy(PICTURE).item() == pytest.approx(total / 4, rel=1e-14)


def test_gradients_of_both_edges() -> None:
    # beta = 2, replicate: twice the graph Laplacian; top left 2 (-3 - 4), top right 2 (3 + 3), bottom left 2 (4 + 4),
    # bottom right 2 (-3 - 4); over four pixels. Trim keeps the top left pixel's v alone.
    replicate = torch.tensor([[-14.0, 12.0], [16.0, -14.0]], dtype=torch.float64) / 4
    trim = torch.tensor([[-14.0, 6.0], [8.0, 0.0]], dtype=torch.float64) / 4
    torch.testing.assert_close(TotalVariation(2.0).gradient(PICTURE)[0, 0], replicate)
    torch.testing.assert_close(TotalVariation(2.0, "trim").gradient(PICTURE)[0, 0], trim)
    # beta = 1, trim: v = 25, so the differences 3 and 4 over 5.
    root = torch.tensor([[-7.0, 3.0], [4.0, 0.0]], dtype=torch.float64) / 5 / 4
    torch.testing.assert_close(TotalVariation(1.0, "trim").gradient(PICTURE)[0, 0], root)


def test_padding_squared_differences_with_zeros_is_replicating_the_edge() -> None:
    x = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pad = torch.nn.functional.pad
    square = pad((x[..., 1:, :] - x[..., :-1, :]) ** 2, (0, 0, 0, 1)) + pad((x[..., 1:] - x[..., :-1]) ** 2, (0, 1))
    assert TotalVariation(1.5).energy(x).item() == pytest.approx(square.pow(0.75).sum().item() / 30, rel=1e-12)


def test_the_root_is_taken_per_channel() -> None:
    # Three equal channels: 3 * 5 at the top left pixel, where a root over all channels would give sqrt(3 * 25).
    assert TotalVariation(1.0, "trim").energy(PICTURE.expand(1, 3, 2, 2)).item() == pytest.approx(15 / 4)


@pytest.mark.parametrize(
    ("near_zero", "epsilon", "slope"),
    [
        # v = (0.001)^2 = 1e-6 on 0..255: d / sqrt(max(v, epsilon)), and d / sqrt(v + epsilon)
        ("clamp", 1e-5, 1e-3 / 1e-5**0.5),
        ("clamp", 1e-6, 1.0),
        ("smooth", 1e-5, 1e-3 / 1.1e-5**0.5),
        ("smooth", 1e-6, 1e-3 / 2e-6**0.5),
    ],
)
def test_gradient_near_zero_in_the_units_of_the_clamp(near_zero: str, epsilon: float, slope: float) -> None:
    z = torch.tensor([[[[0.0, 1e-3]]]], dtype=torch.float64)
    gradient = TotalVariation(1.0, near_zero=near_zero, epsilon=epsilon).gradient(z / 255)
    expected = torch.tensor([[[[-slope, slope]]]], dtype=torch.float64) / 2  # two pixels; |dx| / x has no unit
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=0)


def test_energy_near_zero_is_exact_when_clamped_and_rounded_off_when_smooth() -> None:
    z = torch.tensor([[[[0.0, 1e-3]]]], dtype=torch.float64)
    clamped, smooth = TotalVariation(1.0), TotalVariation(1.0, near_zero="smooth")
    assert 255 * 2 * clamped.energy(z / 255).item() == pytest.approx(1e-3, rel=1e-12)
    assert 255 * 2 * smooth.energy(z / 255).item() == pytest.approx(1.1e-5**0.5 - 1e-5**0.5, rel=1e-9)


@pytest.mark.parametrize("edges", ["replicate", "trim"])
@pytest.mark.parametrize("near_zero", ["clamp", "smooth"])
@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 2.5])
def test_every_option_passes_gradcheck(edges: str, near_zero: str, beta: float) -> None:
    x = torch.rand(2, 2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(TotalVariation(beta, edges, near_zero).differentiable, x)


@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_the_smooth_energy_passes_gradcheck_where_the_picture_is_constant(beta: float) -> None:
    x = torch.full((1, 1, 3, 3), 0.5, dtype=torch.float64)
    x[0, 0, 0, 0] += 1e-3
    prior = TotalVariation(beta, near_zero="smooth", epsilon=100.0)
    assert torch.autograd.gradcheck(prior.differentiable, x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("edges", ["replicate", "trim"])
@pytest.mark.parametrize("near_zero", ["clamp", "smooth"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 3, 1, 1), (1, 1, 1, 5)])
def test_constant_pictures_cost_nothing_and_pull_nowhere(
    dtype: torch.dtype, edges: str, near_zero: str, shape: tuple[int, ...]
) -> None:
    x: Tensor = torch.full(shape, 0.3, dtype=dtype)
    for beta in (1.0, 1.5, 2.0):
        prior = TotalVariation(beta, edges, near_zero)
        assert prior.energy(x).abs().max() < 1e-12
        assert prior.gradient(x).eq(0).all()


def test_unknown_conventions_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown total_variation\.edges 'crop'; valid: replicate, trim"):
        TotalVariation(2.0, "crop")
    with pytest.raises(InputError, match=r"unknown total_variation\.near_zero 'clmp'; did you mean 'clamp'"):
        TotalVariation(1.0, near_zero="clmp")
    with pytest.raises(InputError, match=r"total_variation\.epsilon must be finite and > 0, but got 0"):
        TotalVariation(1.0, epsilon=0)
