"""The priors on feature maps that ship: natural maps have lower energy than controls, and recipes are the defaults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from restoration_core.images import load_image, sample_names
from restoration_core.networks import Classifier, open_network
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.patch_experts.default_recipes import default_recipe

pytestmark = pytest.mark.slow

LAYERS = ("conv1/relu", "conv2/relu")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return open_network("cifar_alexnet")


def maps(classifier: Classifier, layer: str, pictures: Tensor) -> Tensor:
    with torch.no_grad():
        return classifier.features(pictures, [layer])[layer]


def shuffled_places(one: Tensor, generator: torch.Generator) -> Tensor:
    """Return the map with its positions shuffled: the values at a position stay together."""
    order = torch.randperm(one.shape[1] * one.shape[2], generator=generator)
    return one.flatten(1)[:, order].reshape(one.shape)


def shuffled_channels(one: Tensor, generator: torch.Generator) -> Tensor:
    """Return the map with each channel turned and shifted by itself: each channel stays a natural map."""
    turned = [part.flip(0) if index % 2 else part.flip(1) for index, part in enumerate(one)]
    return torch.stack([part.roll(int(torch.randint(9, (), generator=generator)), 0) for part in turned])


@pytest.mark.parametrize("layer", LAYERS)
def test_natural_maps_have_lower_energy_than_their_controls(layer: str, classifier: Classifier, tmp_path: Path) -> None:
    prior = PriorLibrary(tmp_path).get(default_recipe("student_t", layer=layer, network=classifier))
    better: list[list[bool]] = []
    for index, name in enumerate(sample_names()):
        for size in (64, 96):
            generator = torch.Generator().manual_seed(1000 * index + size)
            picture = torch.from_numpy(load_image(f"sample:{name}", size))
            natural = maps(classifier, layer, torch.stack([picture, picture]))[0]
            controls = [shuffled_places(natural, generator), shuffled_channels(natural, generator)]
            energy, *others = prior.energy(torch.stack([natural, *controls])).tolist()
            better.append([energy < other for other in others])
    assert len(better) >= 12
    # By chance half of them are lower; at most one in a dozen may be told wrong.
    assert (np.mean(better, axis=0) >= 0.9).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_gradient_points_back_to_the_natural_map(layer: str, classifier: Classifier, tmp_path: Path) -> None:
    prior = PriorLibrary(tmp_path).get(default_recipe("student_t", layer=layer, network=classifier))
    generator = torch.Generator().manual_seed(0)
    picture = torch.from_numpy(load_image(f"sample:{sample_names()[0]}", 64))
    natural = maps(classifier, layer, torch.stack([picture, picture]))
    error = 0.2 * natural.std() * torch.randn(natural.shape, generator=generator)
    along = (prior.gradient(natural + error) - prior.gradient(natural)).mul(error).sum(dim=(1, 2, 3))
    assert (along > 0).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_files_are_small_and_hold_the_default_recipe(layer: str, classifier: Classifier, tmp_path: Path) -> None:
    recipe = default_recipe("student_t", layer=layer, network=classifier)
    entry = PriorLibrary(tmp_path).entry(recipe.key)
    assert entry.bundled
    assert entry.path.stem == entry.name
    assert entry.path.stat().st_size < 1_500_000
    assert entry.description == "200 photographs, shorter side 64 px"
    assert entry.report.stopped == "finished"
    assert entry.report.best_loss < entry.report.losses[0][1] - 100
