"""The priors that an experiment trains before anything else, on photographs that it does not test on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from restoration_core.errors import InputError, InputErrors
from restoration_core.paths import user_path
from restoration_core.priors import MapSource, PriorLibrary
from restoration_core.priors.library import family_by_name
from restoration_core.priors.maps import FeatureMaps, Photographs, load_folder
from restoration_core.priors.training import PriorRecipe
from sweeps.experiment.models import ExperimentSpec, TrainedSpec
from sweeps.spec.parameter_names import is_trained_group

Notice = Callable[[str], None]


def with_trained(spec: ExperimentSpec, notice: Notice) -> ExperimentSpec:
    """Return the experiment with the names of ``trained`` priors replaced by their keys.

    Priors that the library does not hold are trained; an interrupted training goes on.

    Args:
        spec: parsed.
        notice: called with a line at each check of a training.

    Raises:
        InputErrors: recipes that are not valid, one line per fault.
        InputError: no folder of photographs, or a prior that cannot be trained on them.
    """
    if not spec.trained:
        return spec
    if spec.train_images is None:
        raise InputError("trained: train_images is missing; valid: a folder of photographs, or --train-images FOLDER")
    keys = {name: _train(spec, name, trained, notice) for name, trained in spec.trained.items()}
    priors = {
        name: prior.model_copy(
            update={
                "parameters": _named(prior.parameters, keys),
                "at": {depth: _named(parameters, keys) for depth, parameters in prior.at.items()},
            }
        )
        for name, prior in spec.priors.items()
    }
    return spec.model_copy(update={"priors": priors})


def _named(parameters: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters in which the names of trained priors, which only ``prior`` can hold, are keys."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        if is_trained_group(name) and isinstance(value, Mapping) and value.get("prior") in keys:
            value = {**value, "prior": keys[value["prior"]]}
        found[name] = value
    return found


def _train(spec: ExperimentSpec, name: str, trained: TrainedSpec, notice: Notice) -> str:
    folder = user_path(spec.train_images or "")
    photographs = load_folder(folder, trained.short_side)
    source = _source(spec, trained, photographs)
    recipe = _recipe(name, trained, source)
    library = PriorLibrary()
    described = f"{len(photographs)} photographs, shorter side {trained.short_side} px"

    def told(step: int, steps: int, loss: float) -> None:
        notice(f"training the prior {name}: step {step} of {steps}, held-out loss {loss:.4g}")

    library.get(recipe, lambda: source, told, described)
    return recipe.key


def _source(spec: ExperimentSpec, trained: TrainedSpec, photographs: Photographs) -> MapSource:
    if trained.layer is None:
        return photographs
    from restoration_core.networks import open_network
    from sweeps.spec.models import NetworkSpec

    network = NetworkSpec.model_validate(spec.network)
    classifier = open_network(network.name, network.weights or None, network.seed, **network.options)
    return FeatureMaps(classifier, trained.layer, photographs)


def _recipe(name: str, trained: TrainedSpec, source: MapSource) -> PriorRecipe:
    fields = {
        **trained.recipe,
        "short_side": trained.short_side,
        "pictures": source.identity,
        "maps": source.layer_maps,
    }
    kind = family_by_name(trained.family)
    try:
        return kind.recipe.from_mapping(fields)
    except InputErrors as error:
        raise InputErrors([f"trained.{name}: {line}" for line in error.lines]) from error
