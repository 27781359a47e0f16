from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from restoration_core.errors import InputError
from restoration_core.images import load_image
from restoration_core.metrics import ssim, ssim_components
from restoration_core.metrics.structural import SIGMA, WINDOW

SAMPLES = ("astronaut", "chelsea", "china", "coffee", "flower", "rocket")


def photographs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.stack([torch.from_numpy(load_image(f"sample:{name}", 40)) for name in ("coffee", "chelsea", "china")])
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    strength = torch.tensor([0.02, 0.1, 0.3]).reshape(3, 1, 1, 1)
    return (y + strength * noise).clamp(0, 1).to(dtype), y.to(dtype)


def test_ssim_agrees_with_skimage() -> None:
    x, y = photographs()
    for row, value in enumerate(ssim(x, y)):
        expected = structural_similarity(
            y[row].numpy(),
            x[row].numpy(),
            channel_axis=0,
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert float(value) == pytest.approx(expected, abs=1e-10)


def test_ssim_agrees_with_torchmetrics_where_its_window_does_not_reach_over_the_border() -> None:
    x, y = photographs()
    _, full = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none", return_full_image=True)
    expected = full[..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(ssim(x, y), expected, atol=1e-8, rtol=0)


def test_factors_agree_with_moments_from_scipys_gaussian_filter_over_whole_photographs() -> None:
    def blurred(pictures: np.ndarray) -> np.ndarray:
        # Truncated at 3.5 deviations the window is 11 wide; only positions where it fits are counted.
        full = np.stack([gaussian_filter(channel, SIGMA, truncate=3.5) for channel in pictures])
        return full[:, 5:-5, 5:-5]

    x, y = photographs()
    found = ssim_components(x, y)
    c1, c2 = 0.01**2, 0.03**2
    for row in range(3):
        a, b = x[row].numpy(), y[row].numpy()
        mean_a, mean_b = blurred(a), blurred(b)
        s_a, s_b = (np.sqrt(blurred(z * z) - blurred(z) ** 2) for z in (a, b))
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        contrast = (2 * s_a * s_b + c2) / (s_a**2 + s_b**2 + c2)
        structure = (blurred(a * b) - mean_a * mean_b + c2 / 2) / (s_a * s_b + c2 / 2)
        assert float(found.luminance[row]) == pytest.approx(luminance.mean(), abs=1e-10)
        assert float(found.contrast[row]) == pytest.approx(contrast.mean(), abs=1e-10)
        assert float(found.structure[row]) == pytest.approx(structure.mean(), abs=1e-10)
        assert float(found.ssim[row]) == pytest.approx((luminance * contrast * structure).mean(), abs=1e-10)


def test_ssim_is_not_translation_invariant() -> None:
    """A photograph moved by one pixel scores 0.78 against itself, no better than one with visible noise."""
    y = torch.stack([torch.from_numpy(load_image(f"sample:{name}", 129)) for name in SAMPLES]).double()
    here, moved = y[..., :128], y[..., 1:]
    noise = torch.randn(here.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert ssim(here, here).tolist() == pytest.approx([1] * len(SAMPLES))
    assert (ssim(moved, here) < 0.9).all()
    assert ssim(moved, here).mean().item() == pytest.approx(0.775, abs=0.01)
    assert ssim(moved, here).mean() < ssim((here + 0.03 * noise).clamp(0, 1), here).mean()


def test_moving_both_pictures_together_leaves_ssim_as_it_is() -> None:
    rng = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 1, 3, 32, 32, generator=rng, dtype=torch.float64).repeat(1, 1, 1, 2, 2)
    # The crop of a periodic picture holds each window of one period once, wherever it starts.
    crop = slice(0, 32 + WINDOW - 1)
    here, there = (ssim(a[..., crop, crop], b[..., crop, crop]) for a, b in ((x, y), (x.roll(7, 3), y.roll(7, 3))))
    torch.testing.assert_close(here, there)


def test_float32_is_close_to_float64() -> None:
    single, double = ssim_components(*photographs(torch.float32)), ssim_components(*photographs())
    for name in ("luminance", "contrast", "structure", "ssim"):
        torch.testing.assert_close(getattr(single, name).double(), getattr(double, name), atol=1e-4, rtol=0)


def test_components_of_one_window_follow_from_its_weighted_moments() -> None:
    rng = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 1, 1, WINDOW, WINDOW, generator=rng, dtype=torch.float64)
    axis = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weight = torch.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * SIGMA**2))
    weight /= weight.sum()
    mean_x, mean_y = (weight * x[0, 0]).sum(), (weight * y[0, 0]).sum()
    s_x = (weight * (x[0, 0] - mean_x) ** 2).sum().sqrt()
    s_y = (weight * (y[0, 0] - mean_y) ** 2).sum().sqrt()
    s_xy = (weight * (x[0, 0] - mean_x) * (y[0, 0] - mean_y)).sum()
    c1, c2 = 0.01**2, 0.03**2
    found = ssim_components(x, y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * s_x * s_y + c2) / (s_x**2 + s_y**2 + c2)
    structure = (s_xy + c2 / 2) / (s_x * s_y + c2 / 2)
    torch.testing.assert_close(found.luminance[0], luminance)
    torch.testing.assert_close(found.contrast[0], contrast)
    torch.testing.assert_close(found.structure[0], structure)
    torch.testing.assert_close(found.ssim[0], luminance * contrast * structure)


def test_a_brighter_picture_loses_luminance_only() -> None:
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.5
    found = ssim_components(y + 0.3, y)
    assert found.luminance.item() < 0.9
    assert found.contrast.item() == pytest.approx(1, abs=1e-9)
    assert found.structure.item() == pytest.approx(1, abs=1e-9)


def test_constant_pictures_are_finite_and_equal_ones_score_one() -> None:
    grey, black = torch.full((1, 3, 11, 11), 0.5), torch.zeros(1, 3, 11, 11)
    assert ssim(grey, grey).item() == pytest.approx(1, abs=1e-5)
    assert ssim(grey, black).item() == pytest.approx(1e-4 / (0.25 + 1e-4), rel=1e-3)


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    x = torch.rand(1, 3, 10, 32)
    with pytest.raises(InputError, match="at least 11 x 11 pixels, but got 10 x 32"):
        ssim(x, x)
