"""The denoiser that ships denoises: against total variation at its best on the very pictures it is judged on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from restoration_core.priors import TotalVariation, load_samples
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.recipe import default_denoiser_recipe
from restoration_core.priors.library.prior_library import PriorLibrary

SIZE = 48


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    prior = PriorLibrary(tmp_path_factory.mktemp("library")).load(default_denoiser_recipe().key)
    assert isinstance(prior, Denoiser)
    return prior


@pytest.fixture(scope="module")
def clean() -> Tensor:
    """Four crops of each sample picture, ``(24, 3, SIZE, SIZE)``."""
    found = []
    for picture in load_samples(160).pictures:
        height, width = picture.shape[1:]
        for top, left in ((20, 20), (20, width - SIZE - 20), (height - SIZE - 20, 20), (60, width // 2 - SIZE // 2)):
            found.append(picture[:, top : top + SIZE, left : left + SIZE])
    return torch.stack(found)


def noisy(clean: Tensor, sigma: float) -> Tensor:
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))


def psnr(found: Tensor, clean: Tensor) -> np.ndarray:
    pairs = zip(clean.numpy(), found.numpy(), strict=True)
    return np.array([peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in pairs])


@pytest.mark.parametrize("sigma", [0.05, 0.1])
def test_it_beats_total_variation_minimised_to_the_end_by_half_a_decibel(
    denoiser: Denoiser, clean: Tensor, sigma: float
) -> None:
    start = noisy(clean, sigma)

    def chambolle(weight: float) -> Tensor:
        rows = [denoise_tv_chambolle(row.numpy(), weight=weight * sigma, channel_axis=0) for row in start]
        return torch.from_numpy(np.stack(rows))

    best = max((psnr(chambolle(weight), clean) for weight in (0.6, 0.75, 0.9, 1.05)), key=np.mean)
    found = psnr(denoiser.at_noise(sigma).denoise(start), clean)
    assert found.mean() >= best.mean() + 0.5
    assert (found > best).mean() >= 0.9


@pytest.mark.parametrize("sigma", [0.05, 0.1])
def test_one_step_of_its_gradient_beats_the_best_of_total_variation(
    denoiser: Denoiser, clean: Tensor, sigma: float
) -> None:
    start = noisy(clean, sigma)

    def best_step(gradient: Tensor) -> np.ndarray:
        unit = sigma / gradient.square().mean().sqrt()
        steps = (psnr(start - share * unit * gradient, clean) for share in torch.logspace(-1, 0.3, 20).tolist())
        return max(steps, key=np.mean)

    found = best_step(denoiser.at_noise(sigma).gradient(start))
    for beta in (1.0, 1.25, 1.5, 2.0):
        assert (found > best_step(TotalVariation(beta).gradient(start))).mean() >= 0.9


def test_the_length_of_the_step_is_the_level_squared(denoiser: Denoiser, clean: Tensor) -> None:
    start = noisy(clean, 0.1)
    gradient = denoiser.at_noise(0.1).gradient(start) * SIZE**2
    values = [psnr(start - length * gradient, clean).mean() for length in (0.006, 0.01, 0.014)]
    assert values[1] == max(values)


def test_every_level_serves_its_own_noise_best(denoiser: Denoiser, clean: Tensor) -> None:
    levels = (0.02, 0.05, 0.1, 0.2)
    for sigma in levels:
        start = noisy(clean, sigma)
        values = [psnr(denoiser.at_noise(level).denoise(start), clean).mean() for level in levels]
        assert values[levels.index(sigma)] == max(values)
        assert max(values) > psnr(start, clean).mean() + 1.0


def test_photographs_without_noise_hardly_change_at_the_lowest_level(denoiser: Denoiser, clean: Tensor) -> None:
    lowest = denoiser.at_noise(denoiser.noise_levels[0])
    assert psnr(lowest.denoise(clean), clean).mean() > 40


def test_its_file_is_small_and_holds_the_recipe_and_the_report_of_its_training(tmp_path: Path) -> None:
    entry = PriorLibrary(tmp_path).entry(default_denoiser_recipe().key)
    assert entry.bundled
    assert entry.recipe == default_denoiser_recipe()
    assert entry.path.stat().st_size < 1_000_000
    assert "200 Berkeley photographs (BSDS500 train)" in entry.description
    assert entry.report.stopped == "finished"
    assert entry.report.best_loss < 0.4 * entry.report.losses[0][1]
