"""The parameters of priors: which of them say what is trained, their defaults, and which have no effect."""

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
"""The parameters of a group that say which trained prior is meant."""
HAND_CRAFTED_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    group: {name: known.default for name, known in children.items() if known.default is not None}
    for group, children in OF_HAND_CRAFTED.items()
}
DEFAULT_EXPERT = OF_TRAINED["expert"].default
IMAGE_PATCH_SIZE = 8


def trained_groups(names: Mapping[str, Any]) -> list[str]:
    """Return the groups of trained priors among flat parameters."""
    return [group for group in groups_among(names) if group not in HAND_CRAFTED]


def given_names(parameters: Mapping[str, Parameter], group: str, children: tuple[str, ...]) -> list[str]:
    """Return the flat names of those of a group's ``children`` that are given."""
    return [name for child in children if (name := f"{group}.{child}") in parameters]


def combinations(
    parameters: Mapping[str, Parameter], group: str, children: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield every combination of values that a group's ``children`` may have together, as flat settings."""
    names = given_names(parameters, group, children)
    for values in itertools.product(*(values_of(parameters[name]) or () for name in names)):
        yield dict(zip(names, values, strict=True))


def count_of(parameters: Mapping[str, Parameter], group: str, children: tuple[str, ...] = CHOOSING) -> int:
    """Return how many :func:`combinations` there are: of ``CHOOSING``, as many as trained priors may be asked for."""
    return math.prod(len(values_of(parameters[name]) or ()) for name in given_names(parameters, group, children))


def prior_defaults(group: str, settings: Mapping[str, Any], classifier: Classifier) -> dict[str, Any]:
    """Return the defaults of those of a prior's parameters that ``settings`` do not give."""
    from restoration_core.priors.maps import (
        default_patch_size,
    )  # imports torch, which checking the text alone does not need

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
    """Return the parameters of a prior that have no effect, given its others."""
    if group in HAND_CRAFTED:
        return ()
    if f"{group}.prior" in settings:
        return ("expert", *(child for child in OF_PATCH_EXPERTS if child != "patch_stride"))
    return OF_PATCH_EXPERTS if settings[f"{group}.expert"] in NOISE_EXPERTS else OF_NOISE_EXPERTS


def _missing(group: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    named = {f"{group}.{child}": value for child, value in defaults.items()}
    return {name: value for name, value in named.items() if name not in settings}
