"""From a trial's flat parameters to reconstruction problems: one per picture."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import Preset, open_preset
from restoration_core.objectives.feature_match import feature_targets
from restoration_core.priors.alpha_norm import AlphaNorm
from restoration_core.priors.isotropic_range import IsotropicRange
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.prior import Prior
from restoration_core.priors.total_variation import TotalVariation
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Term
from restoration_core.seeds import derive_seed
from sweeps.parameters import ENABLED, GROUPS, PRESET
from sweeps.spec_models import SweepSpec

PriorLookup = Callable[[str, int], Prior]
Targets = Mapping[str, Mapping[str, Tensor]]

LEARNING_RATE_PIECES = 10

OPTIMISER_DEFAULTS: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "beta1": 0.9,
    "beta2": 0.999,
    "jitter": 1,
    "initial_std": 0.1,
}
PRIOR_DEFAULTS: Mapping[str, Any] = {
    "total_variation.beta": 2.0,
    "alpha_norm.alpha": 6.0,
    "range.alpha": 6.0,
    "priors.image.expert": "student_t",
    "priors.image.patch_size": 8,
    "priors.image.patch_stride": 1,
}


def raw_parameters(spec: SweepSpec, parameters: Mapping[str, Any], classifier: Classifier) -> dict[str, Any]:
    """Return all that decides a trial's problems: presets expanded, defaults filled in, weights in raw units.

    Args:
        spec: of the sweep.
        parameters: of the trial, flat.
        classifier: a preset's settings depend on the network and the (deepest) matched layer.

    Returns:
        Flat parameters. Those of a prior are there only when it has a weight above 0.
    """
    settings: dict[str, Any] = {"iterations": spec.budget.iterations, **OPTIMISER_DEFAULTS}
    given = {key: value for key, value in parameters.items() if key != PRESET}
    if PRESET in parameters:
        deepest = max(spec.layers, key=classifier.depth)
        iterations = int(given.get("iterations", spec.budget.iterations))
        preset = open_preset(str(parameters[PRESET]), classifier, deepest).with_iterations(iterations)
        settings |= _preset_parameters(preset)
    settings |= given
    active = [group for group in GROUPS if _is_on(group, settings)]
    for name, value in PRIOR_DEFAULTS.items():
        settings.setdefault(name, value)
    return {
        name: value
        for name, value in settings.items()
        if not name.endswith(f".{ENABLED}")
        and (any(name.startswith(f"{group}.") for group in active) or not _belongs_to_prior(name))
    }


def compute_targets(spec: SweepSpec, classifier: Classifier, images: Sequence[tuple[str, Tensor]]) -> Targets:
    """Return the matched feature maps of each picture, by its name and the layer; computed once for all trials."""
    return {name: feature_targets(classifier, image, spec.layers) for name, image in images}


def build_problems(
    spec: SweepSpec,
    parameters: Mapping[str, Any],
    classifier: Classifier,
    images: Sequence[tuple[str, Tensor]],
    seed: int,
    prior_lookup: PriorLookup,
    targets: Targets | None = None,
) -> list[Problem]:
    """Return one problem per picture.

    Args:
        spec: of the sweep.
        parameters: of the trial, flat, as the search space or a baseline gives them.
        classifier: the network.
        images: names and originals ``(3, H, W)``, RGB in [0, 1].
        seed: of the trial; each picture's problem has a seed derived from it and the picture's name.
        prior_lookup: (expert, patch size) -> trained prior.
        targets: what :func:`compute_targets` gave; computed here when None.

    Raises:
        InputError: a prior that cannot be had, or a preset that does not exist.
    """
    raw = raw_parameters(spec, parameters, classifier)
    known = compute_targets(spec, classifier, images) if targets is None else targets
    terms = _terms(raw, classifier, prior_lookup)
    iterations = int(raw["iterations"])
    bound, jitter_until, weights = raw.get("bound"), raw.get("jitter_until"), spec.match.layers
    return [
        Problem(
            matches=tuple(FeatureMatch(layer, known[name][layer], weight) for layer, weight in weights.items()),
            terms=terms,
            iterations=iterations,
            learning_rate=_learning_rate(raw, iterations),
            betas=(float(raw["beta1"]), float(raw["beta2"])),
            jitter=int(raw["jitter"]),
            jitter_until=None if jitter_until is None else int(jitter_until),
            bound=None if bound is None else float(bound),
            coarse_to_fine=tuple((int(start), int(factor)) for start, factor in raw.get("coarse_to_fine", ())),
            initial_std=float(raw["initial_std"]),
            seed=derive_seed(seed, name),
            snapshots=tuple(sorted({step for step in spec.save.steps if step <= iterations})),
        )
        for name, _ in images
    ]


def priors_needed(spec: SweepSpec) -> list[tuple[str, int]]:
    """Return every (expert, patch size) that a trial of this sweep may ask for, so that each is trained beforehand."""
    if "priors.image.weight" not in spec.parameters and not _baseline_uses_prior(spec):
        return []
    experts, sizes = _possible(spec, "priors.image.expert"), _possible(spec, "priors.image.patch_size")
    return [(str(expert), int(size)) for expert in experts for size in sizes]


def _possible(spec: SweepSpec, name: str) -> list[Any]:
    from sweeps.space import grid_values

    parameter = spec.parameters.get(name)
    if parameter is None:
        values = [PRIOR_DEFAULTS[name]]
    else:
        values = [parameter.value] if parameter.fixed else grid_values(name, parameter)
    values += [item.parameters[name] for item in spec.baselines if item.parameters and name in item.parameters]
    return list(dict.fromkeys(values))


def _baseline_uses_prior(spec: SweepSpec) -> bool:
    return any("priors.image.weight" in (baseline.parameters or {}) for baseline in spec.baselines)


def _preset_parameters(preset: Preset) -> dict[str, Any]:
    """Return a preset's priors, bound and jitter; the optimiser stays the sweep's own."""
    found: dict[str, Any] = {"jitter": preset.jitter}
    if preset.jitter > 1 and preset.jitter_until is not None:
        found["jitter_until"] = preset.jitter_until
    if preset.bound is not None:
        found["bound"] = preset.bound
    for term in preset.terms:
        prior = term.prior
        if isinstance(prior, TotalVariation):
            found |= {"total_variation.weight": term.weight, "total_variation.beta": prior.beta}
        elif isinstance(prior, IsotropicRange):
            found |= {"range.weight": term.weight, "range.alpha": prior.alpha}
        elif isinstance(prior, AlphaNorm):
            found |= {"alpha_norm.weight": term.weight, "alpha_norm.alpha": prior.alpha}
        else:
            raise AssertionError(f"preset {preset.name} has a prior that no parameter names: {term.name}")
    return found


def _terms(raw: Mapping[str, Any], classifier: Classifier, prior_lookup: PriorLookup) -> tuple[Term, ...]:
    terms: list[Term] = []
    if _is_on("total_variation", raw):
        prior = TotalVariation(float(raw["total_variation.beta"]))
        terms.append(Term("total_variation", prior, float(raw["total_variation.weight"])))
    if _is_on("alpha_norm", raw):
        norm = AlphaNorm(float(raw["alpha_norm.alpha"]))
        terms.append(Term("alpha_norm", norm, float(raw["alpha_norm.weight"])))
    if _is_on("range", raw):
        within = IsotropicRange(float(raw["range.alpha"]), tuple(classifier.mean))
        terms.append(Term("range", within, float(raw["range.weight"])))
    if _is_on("priors.image", raw):
        found = prior_lookup(str(raw["priors.image.expert"]), int(raw["priors.image.patch_size"]))
        experts = _with_stride(found, int(raw["priors.image.patch_stride"]))
        terms.append(Term("priors.image", experts, float(raw["priors.image.weight"])))
    return tuple(terms)


@functools.lru_cache(maxsize=64)
def _with_stride(prior: Prior, stride: int) -> Prior:
    # Rows of a batch that share a prior object are evaluated together, so equal ones must be one object.
    if not isinstance(prior, PatchExperts) or stride == prior.patch_stride:
        return prior
    return prior.with_stride(stride)


def _learning_rate(raw: Mapping[str, Any], iterations: int) -> Schedule:
    """Return a constant rate, or one that falls geometrically to ``learning_rate_end`` in equal pieces."""
    first = float(raw["learning_rate"])
    if "learning_rate_end" not in raw:
        return Schedule.constant(first)
    last = float(raw["learning_rate_end"])
    pieces = min(LEARNING_RATE_PIECES, iterations)
    if pieces == 1:
        return Schedule.constant(first)
    rates = [first * (last / first) ** (piece / (pieces - 1)) for piece in range(pieces)]
    return Schedule(tuple((piece * iterations // pieces, rate) for piece, rate in enumerate(rates)))


def _is_on(group: str, parameters: Mapping[str, Any]) -> bool:
    switched = parameters.get(f"{group}.{ENABLED}", True) is not False
    return switched and float(parameters.get(f"{group}.weight", 0.0)) > 0


def _belongs_to_prior(name: str) -> bool:
    return any(name.startswith(f"{group}.") for group in GROUPS)
