"""Commands that train a prior, as messages and the bundled priors' README give them: each gives the prior's own key."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from restoration_core.cli import main
from restoration_core.networks import open_network
from restoration_core.priors import maps
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe
from restoration_core.priors.denoiser.recipe import MAP_LEVELS, DenoiserRecipe
from restoration_core.priors.library import prior_library
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.library.training_command import training_command
from restoration_core.priors.maps.feature_maps import layer_maps
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.maps.source import BUNDLED_PICTURES, SAMPLES
from restoration_core.priors.patch_experts.default_recipes import default_recipe
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.training.family import PriorRecipe

BUNDLED = {entry.path.stem: entry.recipe for entry in PriorLibrary().list() if entry.bundled}
CIFAR = open_network("cifar_alexnet")
ON_MAPS = layer_maps(CIFAR, "pool1")
OTHERS: dict[str, PriorRecipe] = {
    "default": default_recipe("student_t", 5),
    "default on maps": default_recipe("logistic", layer="pool1", network=CIFAR),
    "all dimensions of maps": Recipe("logistic", 2, 100, maps=ON_MAPS, short_side=48),
    "channel-wise": Recipe("student_t", 3, 9, maps=ON_MAPS, bank="channelwise", channels=(0, 2, 5), short_side=64),
    "separable": Recipe("logistic", 4, 7, bank="separable", multiplier=2, dims=5, remove_dc=True, whitening="zca"),
    "denoiser on maps": DenoiserRecipe(maps=ON_MAPS, noise=0.1, seed=3, flips=False),
    "denoiser on maps at its levels": DenoiserRecipe(maps=ON_MAPS, short_side=64, **MAP_LEVELS),
    "field on maps": FieldRecipe(maps=ON_MAPS, crop=28, noise_levels=(0.1, 0.2), objective="implicit"),
}


class Asked(Exception):
    """Ends the command when it has asked for its prior, before anything is trained."""


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the priors the command would train; any folder holds the photographs of the bundled priors."""
    keys: list[str] = []

    def get(library: PriorLibrary, recipe: PriorRecipe, *given: Any, **options: Any) -> None:
        keys.append(recipe.key)
        raise Asked

    noise = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))]
    monkeypatch.setattr(PriorLibrary, "get", get)
    monkeypatch.setattr(maps, "load_folder", lambda folder, side: Photographs(BUNDLED_PICTURES, noise))
    monkeypatch.setattr(maps, "load_samples", lambda side: Photographs(SAMPLES, noise))
    return keys


def given(command: str, library: Path) -> None:
    program, *arguments = shlex.split(command)
    assert program == "restoration"
    with pytest.raises(Asked):
        main([*arguments, "--library", str(library)])


@pytest.mark.parametrize("recipe", [*BUNDLED.values(), *OTHERS.values()], ids=[*BUNDLED, *OTHERS])
def test_the_command_of_a_recipe_gives_its_key(recipe: PriorRecipe, asked: list[str], tmp_path: Path) -> None:
    given(training_command(recipe), tmp_path)
    assert asked == [recipe.key]
    assert ("--images FOLDER" in training_command(recipe)) == (recipe.pictures != SAMPLES)


def test_other_weights_of_the_same_network_are_the_users_to_name() -> None:
    usual = default_recipe("logistic", layer="pool1", network=CIFAR)
    other = replace(usual, maps=replace(ON_MAPS, weights_id="other"))
    assert training_command(other) == training_command(usual)


def test_the_readme_has_a_command_for_every_bundled_prior(asked: list[str], tmp_path: Path) -> None:
    readme = " ".join((Path(prior_library.__file__).parent / "data" / "README.md").read_text().split())
    for command in re.findall(r"`(restoration prior train [^`]*)`", readme):
        given(command, tmp_path)
    assert sorted(asked) == sorted(recipe.key for recipe in BUNDLED.values())
