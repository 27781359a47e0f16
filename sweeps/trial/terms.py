"""From a trial's raw parameters to the weighted priors of its problems."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from restoration_core.networks import Classifier
from restoration_core.priors import AlphaNorm, IsotropicRange, Prior, TotalVariation, Trained
from restoration_core.priors.library import at_noise_level
from restoration_core.priors.patch_experts import ChannelSubset, PatchField
from restoration_core.reconstruction import Schedule, Term
from sweeps.priors.reference import PriorReference, reference_of
from sweeps.spec.parameter_names import HAND_CRAFTED, NOISE_SCHEDULE, RAW_WEIGHT, SCHEDULE, groups_among, layer_of

PriorLookup = Callable[[PriorReference], Trained]


def build_terms(raw: Mapping[str, Any], classifier: Classifier, prior_lookup: PriorLookup) -> tuple[Term, ...]:
    """Return the terms of a trial.

    A ``schedule`` is the term's own. A ``noise_schedule`` gives one term for each noise level, called
    ``<group> <level>``, which takes part while the schedule has that level.

    Args:
        raw: from :func:`sweeps.trial.raw_parameters.raw_parameters`.
        classifier: whose mean colour the range prior and an alpha norm about the data's mean take.
        prior_lookup: reference -> trained prior.

    Raises:
        InputError: a prior that cannot be had, or a noise level that it was not trained at.
    """
    terms: list[Term] = []
    for group in groups_among(raw):
        weight = raw.get(f"{group}.{RAW_WEIGHT}", raw.get(f"{group}.weight"))
        pieces, stages, layer = raw.get(f"{group}.{SCHEDULE}"), raw.get(f"{group}.{NOISE_SCHEDULE}"), layer_of(group)
        schedule = None if pieces is None else _schedule(pieces)
        if stages is not None:
            # In calibrated units each stage's prior has a raw weight of its own.
            of_stages = [raw_weight for _, raw_weight in weight] if isinstance(weight, list) else [weight] * len(stages)
            weights = {float(level): float(own) for (_, level), own in zip(stages, of_stages, strict=True)}
            for level, own in weights.items():
                prior = trained(raw, group, prior_lookup, level)
                terms.append(Term(f"{group} {level:g}", prior, own, layer, _while_at(level, stages, schedule)))
            continue
        hand = group in HAND_CRAFTED
        prior = hand_crafted(raw, group, classifier) if hand else trained(raw, group, prior_lookup)
        terms.append(Term(group, prior, float(weight), layer, schedule))
    return tuple(terms)


def hand_crafted(raw: Mapping[str, Any], group: str, classifier: Classifier) -> Prior:
    """Return a hand-crafted prior with its parameters."""
    if group == "total_variation":
        return TotalVariation(float(raw["total_variation.beta"]))
    if group == "isotropic_range":
        return IsotropicRange(float(raw["isotropic_range.alpha"]), tuple(classifier.mean))
    centre = str(raw["alpha_norm.centre"])
    return AlphaNorm(float(raw["alpha_norm.alpha"]), centre, tuple(classifier.mean) if centre == "data" else None)


def trained(raw: Mapping[str, Any], group: str, prior_lookup: PriorLookup, level: float | None = None) -> Prior:
    """Return a group's trained prior at a noise level (``noise_level`` or its own when None), with its stride."""
    found = prior_lookup(reference_of(raw, group))
    named = raw.get(f"{group}.noise_level") if level is None else level
    prior = found.prior
    if named is not None:
        prior = at_noise_level(prior, found.recipe, float(named), group, "no noise_level and no noise_schedule")
    stride = raw.get(f"{group}.patch_stride")
    return prior if stride is None else with_stride(prior, int(stride))


# Rows of a batch that share a prior object are evaluated together, so equal ones must be one object.


@functools.lru_cache(maxsize=64)
def with_stride(prior: Prior, stride: int) -> Prior:
    """Return a prior over patches with a stride; any other as it is."""
    if not isinstance(prior, PatchField | ChannelSubset) or stride == prior.patch_stride:
        return prior
    return prior.with_stride(stride)


def _schedule(pieces: Sequence[Sequence[float]]) -> Schedule:
    return Schedule(tuple((int(start), float(value)) for start, value in pieces))


def _while_at(level: float, stages: Sequence[Sequence[float]], schedule: Schedule | None) -> Schedule:
    """Return the schedule of one noise level's term: the prior's own while that level is on, and 0 otherwise."""
    levels = _schedule(stages)
    starts = sorted({start for start, _ in (*levels.pieces, *(schedule.pieces if schedule is not None else ()))})
    factors = [
        (schedule.at(start) if schedule is not None else 1.0) if levels.at(start) == level else 0.0 for start in starts
    ]
    return Schedule(tuple(zip(starts, factors, strict=True)))
