from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import metrics as skimage_metrics

from restoration_core.metrics import image_mse, psnr


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 12, 15, generator=rng, dtype=torch.float64), torch.rand(
        3, 3, 12, 15, generator=rng, dtype=torch.float64
    )


def test_mse_and_psnr_agree_with_skimage_row_by_row(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = pair
    for row in range(3):
        a, b = x[row].numpy(), y[row].numpy()
        assert float(image_mse(x, y)[row]) == pytest.approx(skimage_metrics.mean_squared_error(a, b), rel=1e-12)
        expected = skimage_metrics.peak_signal_noise_ratio(a, b, data_range=1)
        assert float(psnr(x, y)[row]) == pytest.approx(expected, rel=1e-12)


def test_a_constant_offset_has_its_square_as_error_and_20_db_per_factor_of_ten() -> None:
    y = torch.full((2, 3, 4, 4), 0.5, dtype=torch.float64)
    x = y + torch.tensor([0.1, 0.01], dtype=torch.float64).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(image_mse(x, y), [1e-2, 1e-4], rtol=1e-10)
    np.testing.assert_allclose(psnr(x, y), [20, 40], rtol=1e-10)


def test_equal_pictures_have_no_error_and_infinite_psnr() -> None:
    x = torch.rand(1, 3, 5, 5)
    assert image_mse(x, x).item() == 0
    assert psnr(x, x).item() == float("inf")
