"""The field that ships: one step of it denoises, beats the best step of total variation, tells pictures from noise."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restoration_core.images import load_image, sample_names
from restoration_core.metrics.image_error import psnr
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.recipe import default_field_recipe
from restoration_core.priors.drawing import draw_filters, mean_frequency
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.library.prior_library import PriorLibrary

SIDE = 64


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> ConvolutionalExperts:
    prior = PriorLibrary(tmp_path_factory.mktemp("library")).get(default_field_recipe())
    assert isinstance(prior, ConvolutionalExperts)
    return prior


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.stack([torch.from_numpy(load_image(f"sample:{name}", SIDE)) for name in sample_names()])


def noisy(clean: Tensor, noise: float) -> Tensor:
    return clean + noise * torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))


def test_it_ships_under_its_recipe_and_name(field: ConvolutionalExperts, tmp_path: Path) -> None:
    entry = PriorLibrary(tmp_path).entry("field-student_t-7x7-64")
    assert (entry.bundled, entry.key) == (True, default_field_recipe().key)
    assert entry.path.stat().st_size < 100_000
    assert (field.noise, field.scales, field.channels) == (0.04, 3, 3)


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_one_step_beats_the_best_step_of_total_variation_on_every_sample(
    field: ConvolutionalExperts, pictures: Tensor, noise: float
) -> None:
    # The field's step follows from its score; total variation gets the step that is best on these pictures.
    y = noisy(pictures, noise)
    restored = psnr(y - noise**2 * SIDE**2 * field.at_noise(noise).gradient(y), pictures)
    best = torch.full_like(restored, -torch.inf)
    for beta in (1.0, 1.25, 1.5, 2.0):
        gradient = SIDE**2 * TotalVariation(beta).gradient(y)
        for step in torch.logspace(-3, 0, 31).tolist():
            best = torch.maximum(best, psnr(y - step * gradient, pictures))
    assert float((restored - best).min()) > 0.3


def test_pictures_are_likelier_than_the_same_pictures_under_noise(
    field: ConvolutionalExperts, pictures: Tensor
) -> None:
    energies = [field.energy(noisy(pictures, noise)) for noise in (0.0, 0.02, 0.05, 0.1)]
    for cleaner, dirtier in itertools.pairwise(energies):
        assert bool((cleaner < dirtier).all())


def test_filters_sum_to_zero_and_most_are_band_pass(field: ConvolutionalExperts) -> None:
    assert float(field.filters.mean(dim=(2, 3)).abs().max()) < 1e-5
    frequency = mean_frequency(field.filters.double().numpy())
    assert 0.05 < frequency.min() < frequency.max() < 0.6
    assert draw_filters(field, columns=16).size == (16 * 29 + 1, 4 * 29 + 1)
