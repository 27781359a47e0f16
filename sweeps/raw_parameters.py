"""All that decides a trial's problems, as flat parameters: presets expanded, defaults in, what is off left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restoration_core.networks import Classifier
from restoration_core.objectives import Preset, open_preset
from restoration_core.priors.alpha_norm import AlphaNorm
from restoration_core.priors.feature_maps import default_patch_size
from restoration_core.priors.isotropic_range import IsotropicRange
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.recipe import thesis_recipe
from restoration_core.priors.total_variation import TotalVariation
from sweeps.calibrated_units import Units, raw_weights
from sweeps.known_parameters import (
    ENABLED,
    HAND_CRAFTED,
    NOISE_EXPERTS,
    OF_NOISE_EXPERTS,
    OF_PATCH_EXPERTS,
    PRESET,
    RAW,
    RAW_WEIGHT,
    UNITS,
    group_of,
    groups_among,
    layer_of,
)
from sweeps.spec_models import CALIBRATED, SweepSpec

OPTIMISER_DEFAULTS: Mapping[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 0.05,
    "beta1": 0.9,
    "beta2": 0.999,
    "momentum": 0.9,
    "jitter": 1,
    "jitter_canvas": "window",
    "initial_std": 0.1,
    "initial_noise": "normal",
}
HAND_CRAFTED_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "total_variation": {"beta": 2.0},
    "alpha_norm": {"alpha": 6.0, "centre": "picture"},
    "range": {"alpha": 6.0},
}
DEFAULT_EXPERT = "student_t"
IMAGE_PATCH_SIZE = 8


def raw_parameters(
    spec: SweepSpec, parameters: Mapping[str, Any], classifier: Classifier, units: Units
) -> dict[str, Any]:
    """Return all that decides a trial's problems: presets expanded, defaults filled in, weights in raw units.

    Args:
        spec: of the sweep.
        parameters: of the trial, flat.
        classifier: a preset's settings depend on the network and the (deepest) matched layer, a patch size on the
            layer that a prior acts on.
        units: raw weights of calibrated weights of 1, for a sweep in calibrated units.

    Returns:
        Flat parameters. Those of a prior are there only when it has a weight above 0, and only those that act. In a
        sweep in calibrated units ``<group>.raw_weight`` stands in place of ``<group>.weight``.

    Raises:
        InputError: a preset that does not exist, or a prior without a unit.
    """
    settings: dict[str, Any] = {"iterations": spec.budget.iterations, **OPTIMISER_DEFAULTS}
    given = {key: value for key, value in parameters.items() if key not in (PRESET, UNITS)}
    if PRESET in parameters:
        deepest = max(spec.layers, key=classifier.depth)
        iterations = int(given.get("iterations", spec.budget.iterations))
        preset = open_preset(str(parameters[PRESET]), classifier, deepest).with_iterations(iterations)
        settings |= preset_parameters(preset)
    settings |= given
    active = [group for group in groups_among(settings) if is_on(group, settings)]
    for group in active:
        settings |= prior_defaults(group, settings, classifier)
    if spec.units == CALIBRATED:
        raw = PRESET in parameters or parameters.get(UNITS) == RAW
        for group in active:
            own = settings[f"{group}.weight"]
            settings[f"{group}.{RAW_WEIGHT}"] = own if raw else raw_weights(settings, group, units)
    idle = {f"{group}.{child}" for group in active for child in (ENABLED, *idle_children(group, settings))}
    if spec.units == CALIBRATED:
        idle |= {f"{group}.weight" for group in active}
    return {name: value for name, value in settings.items() if name not in idle and group_of(name) in (None, *active)}


def prior_defaults(group: str, settings: Mapping[str, Any], classifier: Classifier) -> dict[str, Any]:
    """Return what a prior's parameters are where ``settings`` leave them open."""
    if group in HAND_CRAFTED:
        return _missing(group, settings, HAND_CRAFTED_DEFAULTS[group])
    if f"{group}.prior" in settings:
        return {}
    expert, layer = settings.get(f"{group}.expert", DEFAULT_EXPERT), layer_of(group)
    found: dict[str, Any] = {"expert": expert}
    if expert not in NOISE_EXPERTS and layer is None:
        found |= {"patch_size": IMAGE_PATCH_SIZE, "patch_stride": 1}
    elif expert not in NOISE_EXPERTS and f"{group}.patch_size" not in settings:
        found |= {"patch_size": default_patch_size(classifier, str(layer)), "bank": "full"}
    elif expert not in NOISE_EXPERTS:
        found |= {"bank": "full"}
    return _missing(group, settings, found)


def idle_children(group: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parameters of a prior that do nothing beside its others."""
    if group in HAND_CRAFTED:
        return ()
    if f"{group}.prior" in settings:
        return ("expert", *(child for child in OF_PATCH_EXPERTS if child != "patch_stride"))
    return OF_PATCH_EXPERTS if settings[f"{group}.expert"] in NOISE_EXPERTS else OF_NOISE_EXPERTS


def is_on(group: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a prior takes part: not switched off, and of a weight above 0."""
    switched = settings.get(f"{group}.{ENABLED}", True) is not False
    return switched and float(settings.get(f"{group}.weight", 0.0)) > 0


def preset_parameters(preset: Preset) -> dict[str, Any]:
    """Return a preset's priors, bound and jitter; the optimiser stays the sweep's own."""
    found: dict[str, Any] = {"jitter": preset.jitter}
    if preset.jitter > 1:
        found["jitter_canvas"] = preset.jitter_canvas
        if preset.jitter_until is not None:
            found["jitter_until"] = preset.jitter_until
    if preset.bound is not None:
        found["bound"] = preset.bound
    for term in preset.terms:
        prior = term.prior
        if isinstance(prior, TotalVariation):
            own: dict[str, Any] = {"total_variation.beta": prior.beta}
        elif isinstance(prior, IsotropicRange):
            own = {"range.alpha": prior.alpha}
        elif isinstance(prior, AlphaNorm):
            own = {"alpha_norm.alpha": prior.alpha, "alpha_norm.centre": prior.centre}
        else:
            assert isinstance(prior, PatchExperts), f"preset {preset.name} has a prior that no parameter names: {term}"
            # The thesis's own kind, by its key: by the expert's name a spec means another prior.
            own = {"priors.image.prior": thesis_recipe(prior.expert.name).key}
        found |= own | {f"{group_of(next(iter(own)))}.weight": term.weight}
    return found


def _missing(group: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    named = {f"{group}.{child}": value for child, value in defaults.items()}
    return {name: value for name, value in named.items() if name not in settings}
