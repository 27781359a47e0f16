"""Checks of a spec's trained priors: layers that the network has, patches that fit the maps, priors that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from restoration_core.errors import InputError, in_one_line
from sweeps.priors.parameters import (
    CHOOSING,
    MOST_PRIORS,
    combinations,
    count_of,
    prior_defaults,
    trained_groups,
)
from sweeps.priors.reference import PriorReference
from sweeps.spec.flatten_groups import Fault
from sweeps.spec.models import BaselineSpec
from sweeps.spec.parameter import Parameter, parameter_faults
from sweeps.spec.parameter_names import OF_NOISE_EXPERTS, at_layer, known_parameter, layer_of, split_name
from sweeps.spec.yaml_loader import YamlPath

if TYPE_CHECKING:
    from restoration_core.networks import Classifier
    from restoration_core.priors import MapSource, PriorRecipe


def place_priors(known: Mapping[str, Any], classifier: Classifier, faults: list[Fault]) -> dict[str, Parameter]:
    """Return the parameters with the layers of priors under the network's own names, and add what is wrong with them.

    Args:
        known: sections of the spec; ``parameters`` flat.
        classifier: the network, with any weights.
        faults: added to.
    """
    return _placed(known["parameters"], classifier, known.get("image_size"), ("parameters",), faults)


def place_in_baselines(known: Mapping[str, Any], classifier: Classifier, faults: list[Fault]) -> list[BaselineSpec]:
    """Return the baselines with the layers of priors under the network's own names; see :func:`place_priors`."""
    placed = []
    for index, item in enumerate(known["baselines"]):
        given: Mapping[str, Any] | None = item.parameters
        if given is not None:
            where = ("baselines", index, "parameters")
            fixed = {name: Parameter(value=value) for name, value in given.items()}
            found = _placed(fixed, classifier, known.get("image_size"), where, faults)
            given = {name: parameter.value for name, parameter in found.items()}
        placed.append(item.model_copy(update={"parameters": given}))
    return placed


def _placed(
    parameters: Mapping[str, Parameter], classifier: Classifier, size: int | None, where: YamlPath, faults: list[Fault]
) -> dict[str, Parameter]:
    own: dict[str, str] = {}
    for group in trained_groups(parameters):
        inside = {name: item for name, item in parameters.items() if split_name(name)[0] == group}
        layer = layer_of(group)
        try:
            placed = group if layer is None else at_layer(group, classifier.resolve(layer))
            if (other := own.setdefault(placed, group)) != group:
                raise InputError(f"{group} and {other} are one prior; valid: one of them, or @label for a second prior")
            sound = all(known_parameter(name) and not any(parameter_faults(name, inside[name])) for name in inside)
            if size is not None and sound and count_of(parameters, group) <= MOST_PRIORS:
                for child, message in check_group(group, inside, layer_of(placed), classifier, size):
                    faults.append(((*where, f"{group}.{child}"), message))
        except InputError as error:
            faults.append(((*where, next(iter(inside))), f"{group}: {error}"))
    names = {written: placed for placed, written in own.items()}
    placed_names = {name: _rename(name, names) for name in parameters}
    return {placed_names[name]: item for name, item in parameters.items()}


def _rename(name: str, groups: Mapping[str, str]) -> str:
    group, child = split_name(name)
    return name if group is None or group not in groups else f"{groups[group]}.{child}"


def check_group(
    group: str, parameters: Mapping[str, Parameter], layer: str | None, classifier: Classifier, size: int
) -> list[tuple[str, str]]:
    """Return (child, what is wrong) for the priors that a group may ask for.

    Args:
        group: as the spec writes it.
        parameters: of the group, sound each by itself.
        layer: whose map the priors act on; None for the image.
        classifier, size: the network, with any weights, and the side of the pictures.

    Raises:
        InputError: the layer has no map, or takes no pictures of this size.
    """
    from sweeps.priors.reference import reference_of

    shape = (3, size, size) if layer is None else classifier.shape(layer, size)
    if len(shape) != 3:
        raise InputError(f"layer {layer!r} has no map, only {shape[0]} values; valid: a layer before fc")
    faults: dict[tuple[str, str], None] = {}
    for settings in combinations(parameters, group, CHOOSING):
        written = [name for name in ("prior", "dims", "patch_size") if f"{group}.{name}" in settings]
        child = written[0] if written else "weight"
        try:
            reference = replace(
                reference_of(settings | prior_defaults(group, settings, classifier), group), layer=layer
            )
            if reference.patch_size is not None and reference.patch_size > min(shape[1:]):
                place = f"image_size {size}" if layer is None else f"the {shape[1]} x {shape[2]} maps of {layer}"
                message = f"patches of {reference.patch_size} px do not fit {place}"
                faults["patch_size" if "patch_size" in written else child, message] = None
                continue
            recipe = _recipe(reference, classifier)
            for name, message in _level_faults(group, parameters, recipe):
                faults[name, message] = None
        except InputError as error:
            faults[child, in_one_line(error)] = None
    return list(faults)


def _recipe(reference: PriorReference, classifier: Classifier) -> PriorRecipe:
    """Return the recipe that a reference stands for, as far as it can be known without the sweep's weights.

    Raises:
        InputError: no such prior, one of other maps, or one that the layer's channels do not allow.
    """
    from restoration_core.priors import PriorLibrary, Recipe
    from restoration_core.priors.maps import map_shape
    from restoration_core.priors.patch_experts import layout
    from sweeps.priors.recipes import check_maps, recipe_of

    if reference.kept is not None:
        kept = PriorLibrary().entry(reference.kept).recipe
        check_maps(f"prior {reference.kept}", kept.maps, reference.layer, classifier, weights=False)
        return kept
    recipe = recipe_of(reference, classifier)
    if isinstance(recipe, Recipe) and reference.layer is not None:
        layout(recipe, cast("MapSource", SimpleNamespace(channels=map_shape(classifier, reference.layer)[0])))
    return recipe


def _level_faults(group: str, parameters: Mapping[str, Parameter], recipe: PriorRecipe) -> Iterator[tuple[str, str]]:
    """Yield (child, what is wrong) for noise levels that a prior was not trained at."""
    from restoration_core.priors import Recipe

    trained = None if isinstance(recipe, Recipe) else levels_of_recipe(recipe)
    for child in OF_NOISE_EXPERTS:
        parameter = parameters.get(f"{group}.{child}")
        if parameter is None or (trained is None and f"{group}.prior" not in parameters):
            continue  # of several experts some have no noise level
        if trained is None:
            yield child, f"{recipe.title} has no noise levels; valid: no {child}"
            continue
        low, high = trained
        for value in parameter.extremes() if parameter.value is None or child == "noise_level" else _second(parameter):
            if isinstance(value, int | float) and not low <= value <= high:
                message = f"{group}.{child} must lie in {low:g}..{high:g}, where {recipe.title} was trained, but got"
                yield child, f"{message} {value:g}"


def levels_of_recipe(recipe: PriorRecipe) -> tuple[float, float]:
    """Return the lowest and highest noise level of a field's or denoiser's recipe."""
    from restoration_core.priors.convolutional_experts import FieldRecipe
    from restoration_core.priors.denoiser import DenoiserRecipe

    if isinstance(recipe, FieldRecipe):
        return recipe.noise_levels[0], recipe.noise_levels[-1]
    assert isinstance(recipe, DenoiserRecipe)
    return recipe.levels


def _second(parameter: Parameter) -> list[Any]:
    return [pair[1] for pair in parameter.value] if isinstance(parameter.value, list) else []
