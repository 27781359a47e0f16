"""Drawing filters: where each goes, what grey means, and the frequency of known gratings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.drawing import draw_filters, mean_frequency
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.channelwise_experts import ChannelwiseExperts
from restoration_core.priors.patch_experts.patch_experts import PatchExperts


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


def over_channels() -> PatchExperts:
    """Two filters over five channels: the first is largest in channel 3, the second in channel 0."""
    filters = torch.full((2, 5, 2, 2), 0.1)
    filters[0, 3] = torch.tensor([[1.0, -1.0], [0.5, 0.0]])
    filters[1, 0] = torch.tensor([[0.0, 2.0], [0.0, -2.0]])
    return PatchExperts(filters, torch.tensor([2.0, 1.0]), torch.zeros(2), EXPERTS["logistic"])


def test_filters_over_many_channels_show_the_channel_in_which_they_are_largest() -> None:
    drawn = np.asarray(draw_filters(over_channels(), scale=1, columns=2))
    assert (drawn == drawn[:, :, :1]).all()
    np.testing.assert_array_equal(drawn[1:3, 1:3, 0], [[255, 0], [191, 128]])
    np.testing.assert_array_equal(drawn[1:3, 4:6, 0], [[128, 255], [128, 0]])


def test_filters_over_many_channels_may_be_shown_as_their_mean() -> None:
    drawn = np.asarray(draw_filters(over_channels(), view="mean", scale=1, columns=2))
    # Means over channels: (1 + 4 * 0.1) / 5 = 0.28, -0.12, 0.18, 0.08 of the first filter.
    expected = np.rint(127.5 + 127.5 * np.array([[0.28, -0.12], [0.18, 0.08]]) / 0.28)
    np.testing.assert_array_equal(drawn[1:3, 1:3, 0], expected)


def test_channelwise_filters_are_drawn_one_by_one() -> None:
    ones = torch.ones(3, 4)
    bank = ChannelwiseExperts(torch.ones(3, 4, 2, 2), ones, ones, EXPERTS["logistic"])
    assert draw_filters(ChannelSubset(bank, (0, 5, 7), 9), scale=2, columns=6).size == (6 * 5 + 1, 2 * 5 + 1)


def test_unknown_view_and_priors_without_filters_are_refused() -> None:
    with pytest.raises(InputError, match="unknown view 'larger'; did you mean 'largest'"):
        draw_filters(over_channels(), view="larger")
    with pytest.raises(InputError, match="a TotalVariation has no filters to draw"):
        draw_filters(TotalVariation(1.0))


def test_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="unknown order 'alfa'; did you mean 'alpha'"):
        draw_filters(prior(), order="alfa")
