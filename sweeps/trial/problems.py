"""From a trial's raw parameters to reconstruction problems: one per picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule
from restoration_core.seeds import derive_seed
from sweeps.spec.models import SweepSpec
from sweeps.trial.terms import PriorLookup, build_terms

Targets = Mapping[str, Mapping[str, Tensor]]

LEARNING_RATE_PIECES = 10


def compute_targets(spec: SweepSpec, classifier: Classifier, images: Sequence[tuple[str, Tensor]]) -> Targets:
    """Return the matched feature maps of each picture, by its name and the layer; computed once for all trials."""
    return {name: feature_targets(classifier, image, spec.layers) for name, image in images}


def build_problems(
    spec: SweepSpec,
    raw: Mapping[str, Any],
    classifier: Classifier,
    images: Sequence[tuple[str, Tensor]],
    seed: int,
    prior_lookup: PriorLookup,
    targets: Targets | None = None,
) -> list[Problem]:
    """Return one problem per picture.

    Args:
        spec: of the sweep.
        raw: of the trial, what :func:`sweeps.trial.raw_parameters.raw_parameters` gave.
        classifier: the network.
        images: names and originals ``(3, H, W)``, RGB in [0, 1].
        seed: of the trial; each picture's problem has a seed derived from it and the picture's name.
        prior_lookup: reference -> trained prior.
        targets: what :func:`compute_targets` gave; computed here when None.

    Raises:
        InputError: a prior that cannot be had, or a preset that does not exist.
    """
    known = compute_targets(spec, classifier, images) if targets is None else targets
    terms = build_terms(raw, classifier, prior_lookup)
    iterations = int(raw["iterations"])
    bound, jitter_until, weights = raw.get("bound"), raw.get("jitter_until"), spec.match.layers
    return [
        Problem(
            matches=tuple(FeatureMatch(layer, known[name][layer], weight) for layer, weight in weights.items()),
            terms=terms,
            iterations=iterations,
            learning_rate=_learning_rate(raw, iterations),
            optimizer=str(raw["optimizer"]),
            betas=(float(raw["beta1"]), float(raw["beta2"])),
            momentum=float(raw["momentum"]),
            jitter=int(raw["jitter"]),
            jitter_until=None if jitter_until is None else int(jitter_until),
            jitter_canvas=str(raw["jitter_canvas"]),
            bound=None if bound is None else float(bound),
            coarse_to_fine=tuple((int(start), int(factor)) for start, factor in raw.get("coarse_to_fine", ())),
            initial_std=float(raw["initial_std"]),
            initial_noise=str(raw["initial_noise"]),
            seed=derive_seed(seed, name),
            snapshots=tuple(sorted({step for step in spec.save.steps if step <= iterations})),
        )
        for name, _ in images
    ]


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
