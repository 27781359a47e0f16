"""The recipe: every fault named at once, the same key for the same recipe, maps in the title."""

from __future__ import annotations

import json
import math

import pytest

from restoration_core.errors import InputErrors
from restoration_core.priors.denoiser.recipe import DenoiserRecipe
from restoration_core.priors.maps.source import LayerMaps

MAPS = LayerMaps("cifar_alexnet", "abc", "conv2/relu")


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        DenoiserRecipe(
            pictures="some", levels=(0.3, 0.1), width=0, depth=5, factor=9, batch=0, iterations=0,
            scales=(0.5, 2.0), crop=3, short_side=2, learning_rate=0.0,
        )  # fmt: skip
    named = [line.split(":")[0] for line in caught.value.lines]
    assert sorted(named) == sorted([
        "pictures", "levels", "width", "factor", "depth", "batch", "iterations", "scales", "crop", "short_side",
        "learning_rate",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"noise": 0.5}, r"noise: 0\.01 <= noise <= 0\.3 must hold, but got 0\.5"),
        ({"held_out_levels": (0.001,)}, r"held_out_levels: levels from 0\.01 to 0\.3 are needed"),
        ({"held_out_levels": ()}, "held_out_levels"),
        ({"levels": (0.1,)}, "levels: two levels"),
        ({"depth": 0}, "2 <= depth <= 32 must hold, but got 0"),
    ],
)
def test_levels_outside_the_trained_ones_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputErrors, match=message):
        DenoiserRecipe(**fields)  # type: ignore[arg-type]


def test_json_gives_the_recipe_again_and_every_field_counts() -> None:
    recipe = DenoiserRecipe(noise=0.1, scales=(1.0, 0.5), maps=MAPS)
    again = DenoiserRecipe.from_mapping(json.loads(recipe.to_json()))
    assert again == recipe
    assert DenoiserRecipe.from_mapping({"scales": [1, 0.5]}).key == DenoiserRecipe(scales=(1.0, 0.5)).key
    assert again.key == recipe.key != DenoiserRecipe(noise=0.1, scales=(1.0, 0.5)).key


def test_it_stands_in_the_middle_unless_told_and_says_whose_maps_it_is_for() -> None:
    assert DenoiserRecipe(levels=(0.02, 0.08), held_out_levels=(0.04,)).stands_at == pytest.approx(0.04)
    assert DenoiserRecipe(noise=0.1).stands_at == 0.1
    assert math.isclose(DenoiserRecipe().stands_at, math.sqrt(0.003))
    assert DenoiserRecipe().title == "denoiser-8x48"
    assert DenoiserRecipe(width=32, maps=MAPS, short_side=8).title == "denoiser-8x32-cifar_alexnet-conv2-relu"
