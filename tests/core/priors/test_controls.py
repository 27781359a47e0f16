"""Controls keep exactly the statistics they claim to keep, and lose the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.images import load_image
from restoration_core.priors.controls import noise_matched, phase_scrambled


@pytest.fixture
def photograph() -> Tensor:
    return torch.from_numpy(load_image("sample:coffee", 49)).double()


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_noise_has_the_mean_and_channel_covariance_of_the_photograph(photograph: Tensor) -> None:
    noise = noise_matched(photograph, rng())
    torch.testing.assert_close(noise.mean(dim=(1, 2)), photograph.mean(dim=(1, 2)), rtol=0, atol=1e-12)
    torch.testing.assert_close(noise.flatten(1).cov(), photograph.flatten(1).cov(), rtol=0, atol=1e-12)


def test_noise_is_white(photograph: Tensor) -> None:
    grey = noise_matched(photograph, rng()).mean(dim=0)
    neighbours = torch.stack([grey[:, 1:].flatten(), grey[:, :-1].flatten()]).corrcoef()[0, 1]
    assert abs(float(neighbours)) < 0.08


@pytest.mark.parametrize("width", [49, 48])
def test_scrambling_keeps_amplitudes_cross_spectra_and_means(photograph: Tensor, width: int) -> None:
    picture = photograph[:, :, :width]
    scrambled = phase_scrambled(picture, rng())
    before, after = torch.fft.fft2(picture), torch.fft.fft2(scrambled)
    torch.testing.assert_close(after.abs(), before.abs(), rtol=0, atol=1e-9)
    torch.testing.assert_close(after[0] * after[1].conj(), before[0] * before[1].conj(), rtol=1e-9, atol=1e-7)
    torch.testing.assert_close(scrambled.mean(dim=(1, 2)), picture.mean(dim=(1, 2)), rtol=0, atol=1e-12)
    assert (scrambled - picture).abs().mean() > 0.05


def test_flat_picture_stays_finite() -> None:
    flat = torch.full((3, 8, 8), 0.25)
    assert torch.isfinite(noise_matched(flat, rng())).all()
    torch.testing.assert_close(phase_scrambled(flat, rng()), flat)
