"""Which trained priors the trials of a sweep may ask for, known before it starts."""

from __future__ import annotations

from restoration_core.networks import Classifier
from sweeps.priors.parameters import CHOOSING, combinations, prior_defaults, trained_groups
from sweeps.priors.reference import PriorReference, reference_of
from sweeps.search.space import SearchSpace
from sweeps.spec.models import SweepSpec
from sweeps.spec.parameter_names import HAND_CRAFTED, groups_among
from sweeps.trial.raw_parameters import raw_parameters


def priors_needed(spec: SweepSpec, classifier: Classifier) -> list[PriorReference]:
    """Return every trained prior that a trial of this sweep may ask for."""
    found: dict[PriorReference, None] = {}
    for group in trained_groups(spec.parameters):
        for settings in combinations(spec.parameters, group, CHOOSING):
            complete = settings | prior_defaults(group, settings, classifier)
            found[reference_of(complete, group)] = None
    for baseline in SearchSpace.from_spec(spec).baselines:
        raw = raw_parameters(spec, baseline.parameters, classifier, {})
        found |= {reference_of(raw, group): None for group in groups_among(raw) if group not in HAND_CRAFTED}
    return list(found)
