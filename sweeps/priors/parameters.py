"""What the parameters of a prior mean: which of them choose a training, their defaults, and which have no effect."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweeps.spec.parameter import Parameter, values_of
from sweeps.spec.parameter_names import (
    HAND_CRAFTED,
    NOISE_EXPERTS,
    OF_HAND_CRAFTED,
    OF_NOISE_EXPERTS,
    OF_PATCH_EXPERTS,
    OF_TRAINED,
    groups_among,
    layer_of,
)

if TYPE_CHECKING:
    from restoration_core.networks import Classifier

MOST_PRIORS = 64
CHOOSING = ("expert", "patch_size", "bank", "dims", "prior")
"""The parameters of a group that say which training is meant."""
HAND_CRAFTED_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    group: {name: known.default for name, known in children.items() if known.default is not None}
    for group, children in OF_HAND_CRAFTED.items()
}
DEFAULT_EXPERT = OF_TRAINED["expert"].default
IMAGE_PATCH_SIZE = 8


def trained_groups(names: Mapping[str, Any]) -> list[str]:
    """Return the groups of trained priors among flat parameters."""
    return [group for group in groups_among(names) if group not in HAND_CRAFTED]


def combinations(
    parameters: Mapping[str, Parameter], group: str, children: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield every combination of values that a group's ``children`` may have together, as flat settings."""
    names = [f"{group}.{child}" for child in children if f"{group}.{child}" in parameters]
    for values in itertools.product(*(values_of(parameters[name]) or () for name in names)):
        yield dict(zip(names, values, strict=True))


def count_of(parameters: Mapping[str, Parameter], group: str) -> int:
    """Return how many trained priors a group may ask for at most."""
    names = [name for child in CHOOSING if (name := f"{group}.{child}") in parameters]
    return math.prod(len(values_of(parameters[name]) or ()) for name in names)


def prior_defaults(group: str, settings: Mapping[str, Any], classifier: Classifier) -> dict[str, Any]:
    """Return what a prior's parameters are where ``settings`` leave them open."""
    from restoration_core.priors.maps import default_patch_size  # torch, which reading a spec's text can spare

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


def _missing(group: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    named = {f"{group}.{child}": value for child, value in defaults.items()}
    return {name: value for name, value in named.items() if name not in settings}
