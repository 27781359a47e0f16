"""Drawing filters: where each goes, what grey means, and the frequency of known gratings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.drawing import draw_filters, mean_frequency
from restoration_core.priors.experts import EXPERTS
from restoration_core.priors.patch_experts import PatchExperts


def prior(channels: int = 3) -> PatchExperts:
    filters = torch.zeros(3, channels, 2, 2)
    filters[0] = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    filters[1, 0] = 2.0
    filters[2, -1, 0, 0] = -0.5
    return PatchExperts(filters, torch.tensor([2.0, 3.0, 1.0]), torch.zeros(3), EXPERTS["logistic"])


def test_heaviest_filter_comes_first_on_its_own_scale_around_grey() -> None:
    sheet = np.asarray(draw_filters(prior(), columns=2, scale=1))
    assert sheet.shape == (7, 7, 3)
    assert sheet[1:3, 1:3].tolist() == [[[255, 128, 128]] * 2] * 2
    assert sheet[1:3, 4:6, 0].tolist() == [[255, 0], [0, 255]]
    assert sheet[4, 1].tolist() == [128, 128, 0]
    # Between filters, and where there is none.
    assert (sheet[0] == 0).all()
    assert (sheet[4:6, 4:6] == 0).all()


def test_frequency_order_puts_the_flat_filter_first_and_the_chequerboard_last() -> None:
    sheet = np.asarray(draw_filters(prior(), order="frequency", columns=3, scale=1))
    assert sheet[1, 1].tolist() == [255, 128, 128]
    assert sheet[1, 7, 0] == 255
    assert sheet[1, 8, 0] == 0


def test_scale_enlarges_weights_and_limit_leaves_out() -> None:
    assert draw_filters(prior(), scale=5, limit=1).size == (12, 12)


def test_filters_of_one_channel_are_grey() -> None:
    sheet = np.asarray(draw_filters(prior(1), scale=1))
    assert (sheet[..., 0] == sheet[..., 2]).all()


def test_mean_frequency_of_gratings_is_theirs() -> None:
    x = np.arange(32)
    gratings = np.stack([np.cos(2 * np.pi * f * x)[None, None, :].repeat(32, axis=1) for f in (0.125, 0.25, 0.375)])
    # A window without sharp edges, so that little power leaks.
    window = np.hanning(32)[:, None] * np.hanning(32)
    np.testing.assert_allclose(mean_frequency(gratings * window), [0.125, 0.25, 0.375], atol=0.02)


def test_priors_on_feature_maps_cannot_be_drawn() -> None:
    maps = PatchExperts(torch.ones(1, 24, 3, 3), torch.ones(1), torch.zeros(1), EXPERTS["logistic"])
    with pytest.raises(InputError, match="filters of 24 channels cannot be drawn; valid: 1 or 3"):
        draw_filters(maps)


def test_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="unknown order 'alfa'; did you mean 'alpha'"):
        draw_filters(prior(), order="alfa")
