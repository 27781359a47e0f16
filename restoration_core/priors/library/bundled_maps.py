"""Feature maps of the bundled network, for training priors that name it."""

from __future__ import annotations

from restoration_core.errors import InputError
from restoration_core.priors.library.training_command import training_command
from restoration_core.priors.maps import FeatureMaps, MapSource
from restoration_core.priors.patch_experts import BUNDLED_NETWORK
from restoration_core.priors.training import PriorRecipe


def bundled_maps(recipe: PriorRecipe, pictures: MapSource) -> MapSource:
    """Return the maps that a recipe is trained on, of some pictures, if the network is the bundled one.

    Raises:
        InputError: another network or other weights, which the caller would have to give.
    """
    from restoration_core.networks import open_network

    maps = recipe.maps
    assert maps is not None
    if maps.network != BUNDLED_NETWORK or maps.weights_id != open_network(BUNDLED_NETWORK).weights_id:
        raise InputError(
            f"a prior on {maps} (weights {maps.weights_id}) must be trained, and its network was not given; valid:"
            f" train it first with `{training_command(recipe)}`"
        )
    return FeatureMaps(open_network(BUNDLED_NETWORK), maps.layer, pictures)
