"""Which trained priors the trials of a sweep may ask for, known before it starts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweeps.known_parameters import HAND_CRAFTED, groups_among
from sweeps.parameters import Parameter, values_of
from sweeps.prior_reference import PriorReference, reference_of
from sweeps.spec_models import SweepSpec

if TYPE_CHECKING:
    from restoration_core.networks import Classifier

MOST_PRIORS = 64
CHOOSING = ("expert", "patch_size", "bank", "dims", "prior")
"""The parameters of a group that say which training is meant."""


def priors_needed(spec: SweepSpec, classifier: Classifier) -> list[PriorReference]:
    """Return every trained prior that a trial of this sweep may ask for, so that each is there beforehand."""
    from sweeps.raw_parameters import prior_defaults, raw_parameters
    from sweeps.space import SearchSpace

    found: dict[PriorReference, None] = {}
    for group in trained_groups(spec.parameters):
        for settings in combinations(spec.parameters, group, CHOOSING):
            complete = settings | prior_defaults(group, settings, classifier)
            found[reference_of(complete, group)] = None
    for baseline in SearchSpace.from_spec(spec).baselines:
        raw = raw_parameters(spec, baseline.parameters, classifier, {})
        found |= {reference_of(raw, group): None for group in groups_among(raw) if group not in HAND_CRAFTED}
    return list(found)


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
