"""Recipes of priors on feature maps that a spec means when it names little, and the bundled network's maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restoration_core.errors import InputError
from restoration_core.priors.family import PriorRecipe
from restoration_core.priors.feature_maps import FeatureMaps, default_patch_size, layer_maps, map_shape
from restoration_core.priors.map_source import SAMPLES, MapSource
from restoration_core.priors.recipe import BUNDLED_PICTURES, FREE_NORMS_RATE, Recipe
from restoration_core.priors.training_command import training_command

if TYPE_CHECKING:
    from restoration_core.networks import Classifier

BUNDLED_NETWORK = "cifar_alexnet"
# Layers of the bundled network whose Student-t priors ship with the package.
BUNDLED_LAYERS = ("conv1/relu", "conv2/relu")

# A tenth of the maps' own deviation: what a reconstruction at the layer above leaves open is larger.
MAP_SIGMA = 0.1
# Directions kept of a full bank: the others hold little of the variance and most of the time.
MAP_DIMS = 300
_SMALLEST_SIDE = 64


def map_short_side(classifier: Classifier) -> int:
    """Return the shorter side of the pictures a layer's prior learns from by default: the native one, at least 64."""
    return max(_SMALLEST_SIDE, classifier.native_size)


def default_map_recipe(
    expert: str, layer: str, network: Classifier | str = BUNDLED_NETWORK, patch_size: int | None = None
) -> Recipe:
    """Return the recipe of a full bank on a layer's maps; see :func:`~restoration_core.priors.recipe.default_recipe`.

    Raises:
        InputErrors: an unknown expert or a patch size outside 2..32.
        InputError: an unknown network or layer, or one whose output is no map.
    """
    if isinstance(network, str):
        from restoration_core.networks import open_network

        network = open_network(network)
    maps = layer_maps(network, layer)
    suggested = default_patch_size(network, layer)
    size = suggested if patch_size is None else patch_size
    dims = min(MAP_DIMS, map_shape(network, layer)[0] * max(size, 1) ** 2)
    ships = (
        maps.network == BUNDLED_NETWORK
        and maps.layer in BUNDLED_LAYERS
        and expert == "student_t"
        and size == suggested
        and maps.weights_id == _bundled_weights()
    )
    return Recipe(
        expert,
        size,
        min(512, 2 * dims),
        BUNDLED_PICTURES if ships else SAMPLES,
        short_side=map_short_side(network),
        dims=dims,
        sigma=MAP_SIGMA,
        patches=50_000,
        iterations=2500 if ships else 2000,
        batch=256,
        learning_rate=FREE_NORMS_RATE,
        free_norms=True,
        maps=maps,
    )


def bundled_maps(recipe: PriorRecipe, pictures: MapSource) -> MapSource:
    """Return the maps that a recipe learns from, of some pictures, where the network is the bundled one.

    Raises:
        InputError: another network or other weights, which must be given.
    """
    from restoration_core.networks import open_network

    maps = recipe.maps
    assert maps is not None
    if maps.network != BUNDLED_NETWORK or maps.weights_id != _bundled_weights():
        raise InputError(
            f"a prior on {maps} (weights {maps.weights_id}) must be trained, and its network was not given; valid:"
            f" train it first with `{training_command(recipe)}`"
        )
    return FeatureMaps(open_network(BUNDLED_NETWORK), maps.layer, pictures)


def _bundled_weights() -> str:
    from restoration_core.networks import open_network

    return open_network(BUNDLED_NETWORK).weights_id
