"""Whitening: the covariance after it, folding into filters, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.patch_experts.whitened_patches.moments import PatchMoments
from restoration_core.priors.patch_experts.whitened_patches.whitening import Whitening, whiten


def correlated(count: int = 4000, channels: int = 3, size: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    dims = channels * size**2
    mixing = torch.randn(dims, dims, generator=generator, dtype=torch.float64) / dims**0.5
    return 0.5 + 0.1 * torch.randn(count, dims, generator=generator, dtype=torch.float64) @ mixing


def whitened(
    patches: Tensor, channels: int, kind: str = "pca", sigma: float = 0.0, dims: int | None = None, dc: bool = True
) -> Whitening:
    """The map fitted to patches that come in two batches, as a training streams them."""
    moments = PatchMoments(channels, patches.shape[1] // channels, remove_dc=not dc)
    for part in patches.tensor_split(2):
        moments.add(part)
    return whiten(moments, kind=kind, sigma=sigma, dims=dims)


def second_moment(z: Tensor) -> Tensor:
    return z.T @ z / len(z)


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_whitened_patches_have_identity_covariance(kind: str) -> None:
    patches = correlated()
    z = whitened(patches, 3, kind=kind).apply(patches)
    torch.testing.assert_close(second_moment(z), torch.eye(27, dtype=torch.float64), rtol=0, atol=1e-9)


def test_zca_is_the_symmetric_whitening() -> None:
    transform = whitened(correlated(), 3, kind="zca").transform
    torch.testing.assert_close(transform, transform.T, rtol=0, atol=1e-10)
    assert (torch.linalg.eigvalsh(transform) > 0).all()


def test_pca_keeps_the_directions_of_largest_variance() -> None:
    patches = correlated()
    whitening = whitened(patches, 3, dims=5)
    assert whitening.transform.shape == (5, 27)
    covariance = second_moment(patches - whitening.mean)
    largest = torch.linalg.eigvalsh(covariance)[-5:]
    # Rows of the transform are axis / sqrt(variance): their squared norms are inverse variances.
    torch.testing.assert_close(whitening.transform.square().sum(dim=1), 1 / largest.flip(0))


def test_sigma_whitens_patches_with_that_noise_on_them() -> None:
    patches, sigma = correlated(200_000), 0.05
    noisy = patches + sigma * torch.randn(
        patches.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    z = whitened(patches, 3, sigma=sigma).apply(noisy)
    torch.testing.assert_close(second_moment(z), torch.eye(27, dtype=torch.float64), rtol=0, atol=0.03)


def test_sigma_bounds_the_gain_where_patches_have_no_variance() -> None:
    patches = correlated()
    patches[:, 0] = patches[:, 1]
    gains = torch.linalg.matrix_norm(whitened(patches, 3, sigma=0.01).transform, ord=2)
    assert float(gains) == pytest.approx(1 / 0.01, rel=1e-6)


def test_mean_is_one_value_a_channel() -> None:
    patches = correlated()
    mean = whitened(patches, 3).mean.reshape(3, 9)
    torch.testing.assert_close(mean, patches.reshape(-1, 3, 9).mean(dim=(0, 2))[:, None].expand(3, 9))


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_removing_dc_makes_flat_colours_invisible(kind: str) -> None:
    patches = correlated()
    whitening = whitened(patches, 3, kind=kind, dc=False)
    shift = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64).repeat_interleave(9)
    torch.testing.assert_close(whitening.apply(patches + shift), whitening.apply(patches), rtol=0, atol=1e-10)
    # Three directions (the channel means) are gone; the rest is white.
    assert torch.linalg.matrix_rank(whitening.transform) == 24


def test_folded_filters_respond_to_raw_patches_as_filters_to_whitened_ones() -> None:
    patches = correlated(100)
    whitening = whitened(patches, 3, sigma=0.01)
    filters = torch.randn(6, 27, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    effective, bias = whitening.fold(filters)
    torch.testing.assert_close(patches @ effective.T + bias, whitening.apply(patches) @ filters.T, rtol=0, atol=1e-9)


def test_hand_computed_whitening_of_two_pixels() -> None:
    # Variances 4 along the first pixel and 1 along the second, about a common mean of 0.
    patches = torch.tensor([[2.0, 1.0], [-2.0, 1.0], [2.0, -1.0], [-2.0, -1.0]], dtype=torch.float64)
    transform = whitened(patches, 1, kind="zca").transform
    torch.testing.assert_close(transform, torch.tensor([[0.5, 0.0], [0.0, 1.0]], dtype=torch.float64))


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="unknown whitening 'pac'; did you mean 'pca'"):
        whitened(correlated(), 3, kind="pac")


def test_more_dimensions_than_the_patches_fill_are_refused() -> None:
    with pytest.raises(InputError, match="1 <= dims <= 24 must hold for these patches, but got 25"):
        whitened(correlated(), 3, dc=False, dims=25)


def test_fewer_patches_than_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match="more patches than dimensions; got 20 patches of 27"):
        whitened(correlated(20), 3)
