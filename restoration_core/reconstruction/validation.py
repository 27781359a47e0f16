"""Checks of a problem before it enters a batch: all faults at once."""

from __future__ import annotations

import math

import torch

from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.networks.classifier import Classifier
from restoration_core.reconstruction.optimizers import RULES
from restoration_core.reconstruction.problem import FEATURE_LOSS, OBJECTIVE, Problem


def check_problem(problem: Problem, classifier: Classifier, size: int) -> None:
    """Raise ``InputErrors`` with one line per fault of ``problem`` for ``size`` x ``size`` pictures.

    Args:
        problem: to be checked.
        classifier: whose layers it names.
        size: side of the picture in pixels.
    """
    faults = [*_matches(problem, classifier, size), *_terms(problem, classifier, size), *_numbers(problem, size)]
    if faults:
        raise InputErrors(faults)


def _layer_fault(classifier: Classifier, layer: str, size: int) -> str | None:
    try:
        classifier.shape(layer, size)
    except InputError as error:
        return str(error)
    return None


def _resolved(classifier: Classifier, layer: str) -> str:
    try:
        return classifier.resolve(layer)
    except InputError:
        return layer


def _matches(problem: Problem, classifier: Classifier, size: int) -> list[str]:
    faults = [] if problem.matches else ["problem.matches is empty; valid: at least one layer to match"]
    named = [_resolved(classifier, match.layer) for match in problem.matches]
    for layer in sorted({layer for layer in named if named.count(layer) > 1}):
        faults.append(f"layer {layer!r} is matched twice; valid: one match a layer")
    for match in problem.matches:
        if fault := _layer_fault(classifier, match.layer, size):
            faults.append(fault)
            continue
        shape = classifier.shape(match.layer, size)
        if tuple(match.target.shape) != shape:
            faults.append(
                f"target of layer {match.layer!r} has shape {tuple(match.target.shape)}; valid for {size} x {size} "
                f"pictures: {shape}"
            )
        elif not bool(torch.isfinite(match.target).all()):
            faults.append(f"target of layer {match.layer!r} has values that are not finite; valid: finite features")
        elif not bool(match.target.any()):
            faults.append(
                f"target of layer {match.layer!r} is zero everywhere, so its loss has no scale; valid: another layer "
                "or picture"
            )
        faults += _weight(f"weight of the match at {match.layer!r}", match.weight)
    return faults


def _terms(problem: Problem, classifier: Classifier, size: int) -> list[str]:
    faults: list[str] = []
    names = [term.name for term in problem.terms]
    for name in sorted({name for name in names if names.count(name) > 1 or name in (FEATURE_LOSS, OBJECTIVE)}):
        faults.append(f"term name {name!r} is taken; valid: a name of its own for every term")
    for term in problem.terms:
        faults += _weight(f"weight of term {term.name!r}", term.weight)
        try:
            shape = (3, size, size) if term.layer is None else classifier.shape(term.layer, size)
            if len(shape) != 3:
                raise InputError(f"layer {term.layer!r} has no map, only {shape[0]} values; valid: a layer before fc")
            term.prior.check(shape)
        except InputError as error:
            faults.append(f"term {term.name!r}: {error}")
    return faults


def _weight(what: str, value: float) -> list[str]:
    return [] if 0 <= value < math.inf else [f"{what} must be finite and >= 0, but got {value}"]


def _numbers(problem: Problem, size: int) -> list[str]:
    rates = [value for _, value in problem.learning_rate.pieces]
    starts = [start for start, _ in problem.coarse_to_fine]
    rules = (
        (problem.iterations >= 1, "iterations must be >= 1", problem.iterations),
        (all(0 < rate < math.inf for rate in rates), "learning_rate must be finite and > 0", rates),
        (all(0 <= beta < 1 for beta in problem.betas), "betas must lie in [0, 1)", problem.betas),
        (problem.jitter >= 1, "jitter must be >= 1 (1 is none)", problem.jitter),
        (problem.jitter_until is None or problem.jitter_until >= 0, "jitter_until must be >= 0", problem.jitter_until),
        (problem.bound is None or problem.bound > 0, "bound must be > 0 or None", problem.bound),
        (0 <= problem.initial_std < math.inf, "initial_std must be finite and >= 0", problem.initial_std),
        (
            starts == sorted(set(starts)) and all(start >= 0 for start in starts),
            "coarse_to_fine must start at iterations that rise from >= 0",
            problem.coarse_to_fine,
        ),
        (
            all(1 <= factor <= size for _, factor in problem.coarse_to_fine),
            f"coarse_to_fine factors must lie in 1..{size}",
            problem.coarse_to_fine,
        ),
        (
            all(0 <= step <= problem.iterations for step in problem.snapshots),
            f"snapshots must lie in 0..{problem.iterations} (the iterations)",
            problem.snapshots,
        ),
        (
            problem.initial is None or tuple(problem.initial.shape) == (3, size, size),
            f"initial must have shape {(3, size, size)}",
            None if problem.initial is None else tuple(problem.initial.shape),
        ),
    )
    faults = [f"problem: {rule}, but got {value}" for holds, rule, value in rules if not holds]
    if problem.optimizer not in RULES:
        faults.append(unknown("optimizer", problem.optimizer, RULES))
    return faults
