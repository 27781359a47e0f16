"""Checks of a problem before it enters a batch: all faults at once."""

from __future__ import annotations

import math

import torch

from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.optimizers import RULES
from restoration_core.reconstruction.problem import (
    CANVAS,
    FEATURE_LOSS,
    INITIAL_NOISES,
    JITTER_CANVASES,
    LBFGS,
    MEAN_SQUARED_ERROR,
    NORMALIZATIONS,
    OBJECTIVE,
    Problem,
)
from restoration_core.reconstruction.starts import canvas_side


def check_problem(problem: Problem, network: FeatureNetwork, size: int) -> None:
    """Raise ``InputErrors`` with one line per fault of ``problem`` for ``size`` x ``size`` pictures.

    Args:
        problem: to be checked.
        network: whose layers it names.
        size: side of the picture in pixels.
    """
    faults = [
        *_matches(problem, network, size),
        *_terms(problem, network, size),
        *_numbers(problem, network, size),
        *_choices(problem),
    ]
    if problem.optimizer == LBFGS:
        faults += _line_search(problem)
    if faults:
        raise InputErrors(faults)


def _layer_fault(network: FeatureNetwork, layer: str, size: int) -> str | None:
    try:
        network.shape(layer, size)
    except InputError as error:
        return str(error)
    return None


def _resolved(network: FeatureNetwork, layer: str) -> str:
    try:
        return network.resolve(layer)
    except InputError:
        return layer


def _matches(problem: Problem, network: FeatureNetwork, size: int) -> list[str]:
    faults = [] if problem.matches else ["problem.matches is empty; valid: at least one layer to match"]
    named = [_resolved(network, match.layer) for match in problem.matches]
    for layer in sorted({layer for layer in named if named.count(layer) > 1}):
        faults.append(f"layer {layer!r} is matched twice; valid: one match a layer")
    for match in problem.matches:
        if fault := _layer_fault(network, match.layer, size):
            faults.append(fault)
            continue
        shape = network.shape(match.layer, size)
        if tuple(match.target.shape) != shape:
            faults.append(
                f"target of layer {match.layer!r} has shape {tuple(match.target.shape)}; valid for {size} x {size} "
                f"pictures: {shape}"
            )
        elif not bool(torch.isfinite(match.target).all()):
            faults.append(f"target of layer {match.layer!r} has values that are not finite; valid: finite features")
        elif match.normalization != MEAN_SQUARED_ERROR and not bool(match.target.any()):
            faults.append(
                f"target of layer {match.layer!r} is zero everywhere, so its loss has no scale; valid: another layer "
                "or picture"
            )
        faults += _weight(f"weight of the match at {match.layer!r}", match.weight)
        if match.normalization not in NORMALIZATIONS:
            faults.append(unknown("normalization", match.normalization, NORMALIZATIONS))
    return faults


def _terms(problem: Problem, network: FeatureNetwork, size: int) -> list[str]:
    faults: list[str] = []
    side = canvas_side(problem, size) if problem.jitter_canvas == CANVAS else size
    seen = (network.channels, side, side)
    names = [name for term in problem.terms for name in {term.name, term.recorded_as or term.name}]
    for name in sorted({name for name in names if names.count(name) > 1 or name in (FEATURE_LOSS, OBJECTIVE)}):
        faults.append(f"term name {name!r} is taken; valid: a name of its own for every term")
    for term in problem.terms:
        faults += _weight(f"weight of term {term.name!r}", term.weight)
        if term.schedule is not None:
            for start, factor in term.schedule.pieces:
                faults += _weight(f"schedule of term {term.name!r}: factor from iteration {start}", factor)
        try:
            shape = seen if term.layer is None else network.shape(term.layer, size)
            if len(shape) != 3:
                raise InputError(f"layer {term.layer!r} has no map, only {shape[0]} values; valid: a layer before fc")
            term.prior.check(shape)
        except InputError as error:
            faults.append(f"term {term.name!r}: {error}")
    return faults


def _weight(what: str, value: float) -> list[str]:
    return [] if 0 <= value < math.inf else [f"{what} must be finite and >= 0, but got {value}"]


def _line_search(problem: Problem) -> list[str]:
    """Return the faults of a problem for L-BFGS, whose line search needs an objective that is exact and repeatable."""
    faults = []
    if problem.jitter > 1:
        faults.append(f"problem: {LBFGS} takes no jitter, but got {problem.jitter}; valid: 1 (none)")
    if problem.bound is not None:
        faults.append(f"problem: {LBFGS} projects onto no bound, but got {problem.bound:g}; valid: None")
    for term in problem.terms:
        if term.weight > 0 and not term.prior.has_energy:
            faults.append(f"term {term.name!r}: {LBFGS} needs an energy, this prior has only a gradient")
        if term.weight > 0 and (stride := getattr(term.prior, "patch_stride", 1)) > 1:
            faults.append(
                f"term {term.name!r}: {LBFGS} takes no random patches, but got patch_stride {stride}; valid: 1"
            )
    return faults


def _choices(problem: Problem) -> list[str]:
    faults = []
    for what, chosen, valid in (
        ("optimizer", problem.optimizer, [*RULES, LBFGS]),
        ("jitter_canvas", problem.jitter_canvas, JITTER_CANVASES),
        ("initial_noise", problem.initial_noise, INITIAL_NOISES),
    ):
        if chosen not in valid:
            faults.append(unknown(what, chosen, valid))
    return faults


def _numbers(problem: Problem, network: FeatureNetwork, size: int) -> list[str]:
    rates = [value for _, value in problem.learning_rate.pieces]
    starts = [first for first, _ in problem.coarse_to_fine]
    start = (network.channels, size, size)
    rules = (
        (problem.iterations >= 1, "iterations must be >= 1", problem.iterations),
        (all(0 < rate < math.inf for rate in rates), "learning_rate must be finite and > 0", rates),
        (all(0 <= beta < 1 for beta in problem.betas), "betas must lie in [0, 1)", problem.betas),
        (0 <= problem.momentum < 1, "momentum must lie in [0, 1)", problem.momentum),
        (problem.jitter >= 1, "jitter must be >= 1 (1 is none)", problem.jitter),
        (problem.jitter_until is None or problem.jitter_until >= 0, "jitter_until must be >= 0", problem.jitter_until),
        (problem.bound is None or problem.bound > 0, "bound must be > 0 or None", problem.bound),
        (
            problem.bound is None or network.takes_pictures,
            f"a bound on colours is for pictures and the input of {network.name} is a map; valid: None",
            problem.bound,
        ),
        (0 <= problem.initial_std < math.inf, "initial_std must be finite and >= 0", problem.initial_std),
        (
            starts == sorted(set(starts)) and all(first >= 0 for first in starts),
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
            problem.initial is None or tuple(problem.initial.shape) == start,
            f"initial must have shape {start}",
            None if problem.initial is None else tuple(problem.initial.shape),
        ),
    )
    return [f"problem: {rule}, but got {value}" for holds, rule, value in rules if not holds]
