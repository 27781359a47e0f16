"""The recipe that a reference to a trained prior stands for, and what such a prior is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.priors import LayerMaps, MapSource, PriorLibrary, PriorRecipe, Recipe, default_recipe
from restoration_core.priors.convolutional_experts import FieldRecipe, default_field_recipe
from restoration_core.priors.denoiser import DenoiserRecipe, default_denoiser_recipe
from restoration_core.priors.maps import (
    SAMPLES,
    FeatureMaps,
    default_patch_size,
    layer_maps,
    load_samples,
    map_shape,
    map_short_side,
)
from sweeps.priors.reference import PriorReference
from sweeps.spec.parameter_names import CONVOLUTIONAL, DENOISER

_MAP_LEVELS = (0.1, 0.2, 0.4)
"""Noise levels of fields and denoisers on maps, relative to the maps' deviation: about the error of reconstructions."""
_MAP_FILTERS = 64
_LARGEST_CROP = 24
_MOST_EXPERTS = 512


def recipe_of(reference: PriorReference, classifier: Classifier, library: PriorLibrary | None = None) -> PriorRecipe:
    """Return the recipe of a prior that parameters name.

    Args:
        reference: the prior.
        classifier: the sweep's network, with its weights.
        library: where a prior given by key or name is looked up; the user's by default.

    Raises:
        InputError: values that do not fit the layer, or a named prior that is not there or was learned elsewhere.
    """
    if reference.kept is not None:
        return _kept(reference, classifier, library or PriorLibrary())
    if reference.expert == CONVOLUTIONAL:
        return default_field_recipe() if reference.layer is None else _field_on_maps(classifier, reference.layer)
    if reference.expert == DENOISER:
        return default_denoiser_recipe() if reference.layer is None else _denoiser_on_maps(classifier, reference.layer)
    if reference.layer is None:
        return default_recipe(reference.expert, reference.patch_size)
    recipe = default_recipe(reference.expert, reference.patch_size, layer=reference.layer, network=classifier)
    return _with_bank(recipe, reference, map_shape(classifier, reference.layer)[0])


def training_maps(recipe: PriorRecipe, classifier: Classifier) -> Callable[[], MapSource] | None:
    """Return a function that opens the maps to train on, or None where the library needs none."""
    maps = recipe.maps
    if maps is None or recipe.pictures != SAMPLES:
        return None
    return lambda: FeatureMaps(classifier, maps.layer, load_samples(recipe.short_side))


def check_maps(what: str, maps: LayerMaps | None, layer: str | None, classifier: Classifier, weights: bool) -> None:
    """Refuse a prior that learned from other maps than those it is used on.

    Args:
        what: the prior, for the message.
        maps: what it learned from; None for pictures.
        layer: where it is used; None for the image.
        classifier: whose layer.
        weights: compare the network's weights too.

    Raises:
        InputError: another layer, network or weights.
    """
    learned = "pictures" if maps is None else str(maps)
    if (None if maps is None else maps.layer) != layer:
        valid = "priors.image" if maps is None else f"priors.{maps.layer}"
        raise InputError(f"{what} learned from {learned}; valid: {valid}")
    if maps is None:
        return
    if maps.network != classifier.name or (weights and maps.weights_id != classifier.weights_id):
        raise InputError(
            f"{what} learned from {learned} with weights {maps.weights_id}, but the network is {classifier.name}"
            f"{f' with weights {classifier.weights_id}' if weights else ''}; valid: a prior of this network's maps"
        )


def _kept(reference: PriorReference, classifier: Classifier, library: PriorLibrary) -> PriorRecipe:
    entry = library.entry(reference.kept or "")
    check_maps(f"prior {reference.kept}", entry.recipe.maps, reference.layer, classifier, weights=True)
    return entry.recipe


def _with_bank(recipe: Recipe, reference: PriorReference, channels: int) -> Recipe:
    """Return the recipe with the bank and dimensions asked for, and two experts for each dimension of the bank."""
    if reference.bank == "full" and reference.dims in (None, recipe.dims):
        return recipe
    whole = recipe.patch_size**2 * (channels if reference.bank == "full" else 1)
    dims = reference.dims if reference.dims is not None else recipe.dims if reference.bank == "full" else None
    if dims is not None and dims > whole:
        raise InputError(
            f"dims must be <= {whole} for {reference.bank} patches of {recipe.patch_size} x {recipe.patch_size} on "
            f"{reference.layer}, but got {dims}"
        )
    modelled = (whole if dims is None else dims) * (channels if reference.bank == "separable" else 1)
    return replace(recipe, bank=reference.bank, dims=dims, experts=min(_MOST_EXPERTS, 2 * modelled), pictures=SAMPLES)


def _field_on_maps(classifier: Classifier, layer: str) -> FieldRecipe:
    size, crop = default_patch_size(classifier, layer), _crop(classifier, layer)
    return FieldRecipe(
        filter_size=min(size, crop),
        experts=_MAP_FILTERS,
        scales=1,
        noise_levels=_MAP_LEVELS,
        short_side=map_short_side(classifier),
        maps=layer_maps(classifier, layer),
        crop=crop,
    )


def _denoiser_on_maps(classifier: Classifier, layer: str) -> DenoiserRecipe:
    return DenoiserRecipe(
        levels=(_MAP_LEVELS[0] / 2, 2 * _MAP_LEVELS[-1]),
        held_out_levels=_MAP_LEVELS,
        factor=1,
        short_side=map_short_side(classifier),
        maps=layer_maps(classifier, layer),
        crop=_crop(classifier, layer),
    )


def _crop(classifier: Classifier, layer: str) -> int:
    """Return the side of the crops to learn from, at most that of the smallest map."""
    _, height, width = classifier.shape(layer, map_short_side(classifier))
    return min(_LARGEST_CROP, height, width)
