"""Recipes of patch experts that are used where a user names little: for pictures, for a layer, and the thesis's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restoration_core.priors.maps import (
    BUNDLED_PICTURES,
    SAMPLES,
    default_patch_size,
    layer_maps,
    map_shape,
    map_short_side,
)
from restoration_core.priors.patch_experts.recipe import Recipe

if TYPE_CHECKING:
    from restoration_core.networks import Classifier

BUNDLED_NETWORK = "cifar_alexnet"
BUNDLED_LAYERS = ("conv1/relu", "conv2/relu")
"""Layers of the bundled network whose Student-t priors ship with the package."""
MAP_SIGMA = 0.1
"""Noise on the patches of maps, relative to the maps' deviation: less than the errors of reconstructed maps."""
MAP_DIMS = 300
"""Whitened dimensions of a full bank on maps: the others hold little variance and would take most of the time."""
RECONSTRUCTION_SIGMA = 0.08
"""Noise on the patches of pictures, RGB in [0, 1]."""
FREE_NORMS_RATE, UNIT_NORMS_RATE = 0.003, 0.05
"""Adam's rate at the start, for filters of any norm and for filters of norm 1."""


def default_recipe(
    expert: str,
    patch_size: int | None = None,
    *,
    layer: str | None = None,
    network: Classifier | str = "cifar_alexnet",
) -> Recipe:
    """Return the recipe of a prior that is named only by its expert, and perhaps a patch size or a layer.

    For pictures with patches of 8 x 8, and for some layers of the bundled network, it is the recipe of a prior that
    ships with the package. Others are trained from the sample pictures when first asked for, on one core in less than a
    minute for pictures and in a few minutes for a layer. They have twice as many experts as dimensions, at most 256 for
    pictures and 512 for maps.

    Priors on pictures learn from patches with noise of 0.08, which is about the error of a reconstruction in progress,
    and their filters may have any norm. Priors learned from clean patches, or with filters of norm 1, pull noisy
    pictures back too little (benchmarks/denoising.py shows it). Free norms need a smaller learning rate.

    Args:
        expert: name of the expert function.
        patch_size: side of a patch; when None 8 for pictures, and for maps what :func:`default_patch_size` gives.
        layer: whose maps; the pictures themselves when None.
        network: the layer's network, or its name, with which it is opened with its usual weights.

    Raises:
        InputErrors: an unknown expert or a patch size outside 2..32.
        InputError: an unknown network or layer, or one whose output is no map.
    """
    if layer is not None:
        return _default_map_recipe(expert, layer, network, patch_size)
    size = 8 if patch_size is None else patch_size
    ships = size == 8
    return Recipe(
        expert,
        size,
        min(256, 2 * 3 * max(size, 1) ** 2),
        BUNDLED_PICTURES if ships else SAMPLES,
        sigma=RECONSTRUCTION_SIGMA,
        free_norms=True,
        patches=200_000 if ships else 50_000,
        iterations=4000 if ships else 2000,
        batch=256,
        learning_rate=FREE_NORMS_RATE,
    )


def thesis_recipe(expert: str) -> Recipe:
    """Return the recipe of the bundled prior that is trained as in the thesis: 512 unit-norm filters, clean patches.

    Raises:
        InputErrors: an unknown expert.
    """
    return Recipe(
        expert, 8, 512, BUNDLED_PICTURES, patches=200_000, iterations=25_000, batch=256, learning_rate=UNIT_NORMS_RATE
    )


def _default_map_recipe(expert: str, layer: str, network: Classifier | str, patch_size: int | None) -> Recipe:
    """Return the recipe of a full bank on a layer's maps."""
    from restoration_core.networks import open_network

    if isinstance(network, str):
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
        and maps.weights_id == open_network(BUNDLED_NETWORK).weights_id
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
