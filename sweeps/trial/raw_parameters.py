"""A trial's flat parameters completed: presets expanded, defaults filled in, priors that are off left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restoration_core.networks import Classifier
from restoration_core.objectives import Preset, open_preset
from restoration_core.priors.hand_crafted import AlphaNorm, IsotropicRange, TotalVariation
from restoration_core.priors.patch_experts import PatchExperts, thesis_recipe
from sweeps.priors.parameters import idle_children, prior_defaults
from sweeps.priors.units import RawPerUnit, raw_weights
from sweeps.spec.models import CALIBRATED, SweepSpec
from sweeps.spec.parameter import listed_value
from sweeps.spec.parameter_names import (
    BASELINE_UNITS,
    ENABLED,
    OPTIMISER,
    PRESET,
    RAW,
    RAW_WEIGHT,
    group_of,
    groups_among,
)

OPTIMISER_DEFAULTS: Mapping[str, Any] = {
    name: known.default for name, known in OPTIMISER.items() if known.default is not None
}


def raw_parameters(
    spec: SweepSpec, parameters: Mapping[str, Any], classifier: Classifier, units: RawPerUnit
) -> dict[str, Any]:
    """Return a trial's parameters completed: presets expanded, defaults filled in, weights in raw units.

    Args:
        spec: of the sweep.
        parameters: of the trial, flat.
        classifier: a preset's settings depend on the network and the (deepest) matched layer, a patch size on the
            layer that a prior acts on.
        units: raw weights of calibrated weights of 1, for a sweep in calibrated units.

    Returns:
        Flat parameters, without those of priors of weight 0 and those that have no effect. In a sweep in calibrated
        units ``<group>.raw_weight`` stands in place of ``<group>.weight``.

    Raises:
        InputError: a preset that does not exist, or a prior without a unit.
    """
    settings: dict[str, Any] = {"iterations": spec.budget.iterations, **OPTIMISER_DEFAULTS}
    # A store may hold a step as an older version computed it; units are known by the values that the spec lists.
    given = {
        key: listed_value(spec.parameters[key], value) if key in spec.parameters else value
        for key, value in parameters.items()
        if key not in (PRESET, BASELINE_UNITS)
    }
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
        raw = PRESET in parameters or parameters.get(BASELINE_UNITS) == RAW
        for group in active:
            own = settings[f"{group}.weight"]
            settings[f"{group}.{RAW_WEIGHT}"] = own if raw else raw_weights(settings, group, units)
    idle = {f"{group}.{child}" for group in active for child in (ENABLED, *idle_children(group, settings))}
    if spec.units == CALIBRATED:
        idle |= {f"{group}.weight" for group in active}
    return {name: value for name, value in settings.items() if name not in idle and group_of(name) in (None, *active)}


def is_on(group: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a prior takes part: it is not switched off and its weight is above 0."""
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
            own = {"isotropic_range.alpha": prior.alpha}
        elif isinstance(prior, AlphaNorm):
            own = {"alpha_norm.alpha": prior.alpha, "alpha_norm.centre": prior.centre}
        else:
            assert isinstance(prior, PatchExperts), f"preset {preset.name} has a prior that no parameter names: {term}"
            # By its key: the expert's name alone stands for our default prior, not for the thesis's.
            own = {"priors.image.prior": thesis_recipe(prior.expert.name).key}
        found |= own | {f"{group_of(next(iter(own)))}.weight": term.weight}
    return found
