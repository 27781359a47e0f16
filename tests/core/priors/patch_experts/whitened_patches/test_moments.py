"""Moments of patches that come in batches: those of all patches at once, by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.patch_experts.whitened_patches.moments import PatchMoments
from restoration_core.priors.patch_experts.whitened_patches.whitening import whiten

CHANNELS, PIXELS = 4, 9


def patches(count: int = 150) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(CHANNELS * PIXELS, CHANNELS * PIXELS, generator=generator, dtype=torch.float64)
    # Far from zero, and drifting: what a batch's own mean would hide.
    drift = torch.linspace(0, 5, count, dtype=torch.float64)[:, None]
    return 3 + drift + torch.randn(count, CHANNELS * PIXELS, generator=generator, dtype=torch.float64) @ mixing


def channel_mean(data: Tensor) -> Tensor:
    return data.reshape(len(data), CHANNELS, PIXELS).mean(dim=(0, 2)).repeat_interleave(PIXELS)


@pytest.mark.parametrize("remove_dc", [False, True], ids=["dc-kept", "dc-removed"])
@pytest.mark.parametrize("groups", [1, 2, CHANNELS])
@pytest.mark.parametrize("batch", [150, 47, 1])
def test_moments_in_batches_are_those_of_all_patches(batch: int, groups: int, remove_dc: bool) -> None:
    data = patches()
    moments = PatchMoments(CHANNELS, PIXELS, groups, remove_dc=remove_dc)
    for part in data.split(batch):
        moments.add(part)
    mean, covariances = moments.finish()
    torch.testing.assert_close(mean, channel_mean(data), rtol=1e-12, atol=0)
    centred = (data - channel_mean(data)).numpy()
    if remove_dc:
        apart = centred.reshape(len(data), CHANNELS, PIXELS)
        centred = (apart - apart.mean(axis=2, keepdims=True)).reshape(len(data), -1)
    for group, part in enumerate(np.split(centred, groups, axis=1)):
        np.testing.assert_allclose(covariances[group].numpy(), part.T @ part / len(data), rtol=1e-9, atol=1e-9)


def test_relative_noise_is_a_share_of_the_patches_deviation() -> None:
    # White patches of deviation 7: noise of a half of it makes the variance 49 (1 + 1/4).
    generator = torch.Generator().manual_seed(1)
    moments = PatchMoments(1, 4)
    moments.add(7 * torch.randn(400_000, 4, generator=generator, dtype=torch.float64))
    transform = whiten(moments, kind="zca", sigma=0.5, relative=True).transform
    torch.testing.assert_close(transform, torch.eye(4, dtype=torch.float64) / 61.25**0.5, rtol=0, atol=1e-3)


def test_a_dead_channel_is_whitened_by_the_noise_alone() -> None:
    data = patches()
    data[:, :PIXELS] = 0.0
    moments = PatchMoments(CHANNELS, PIXELS, CHANNELS)
    moments.add(data)
    transforms = whiten(moments, sigma=0.1, relative=True).transforms
    deviation = float(moments.finish()[1].diagonal(dim1=1, dim2=2).mean()) ** 0.5
    norms = transforms[0].norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 1 / (0.1 * deviation)))


def test_constant_maps_are_refused() -> None:
    moments = PatchMoments(1, 4)
    moments.add(torch.full((50, 4), 2.0))
    with pytest.raises(InputError, match="these channels are constant; valid: other channels"):
        whiten(moments, sigma=0.1, relative=True)
