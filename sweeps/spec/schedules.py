"""Parameters that are lists of pairs over the iterations: what they must be like."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from restoration_core.errors import brief
from sweeps.spec.parameter_names import COARSE_TO_FINE, SCHEDULE, split_name

Pairs = Sequence[Sequence[int | float]]


def structure_faults(name: str, value: object) -> Iterator[str]:
    """Yield what is wrong with the pairs of ``coarse_to_fine``, a ``schedule`` or a ``noise_schedule``."""
    what = _second(name)
    if not isinstance(value, list):
        yield f"{name} cannot be searched; valid: a list of [from_iteration, {what}] pairs"
        return
    if any(len(pair) != 2 for pair in value):
        yield f"{name} must be a list of [from_iteration, {what}] pairs, but got {brief(value)}"
        return
    yield from _start_faults(name, value)
    yield from _coarse_to_fine_faults(name, value) if name == COARSE_TO_FINE else _level_faults(name, value)


def _second(name: str) -> str:
    child = split_name(name)[1]
    return "factor" if child in {COARSE_TO_FINE, SCHEDULE} else "noise level"


def _start_faults(name: str, pairs: Pairs) -> Iterator[str]:
    starts = [start for start, _ in pairs]
    if not all(isinstance(start, int) and start >= 0 for start in starts):
        yield f"{name} must start its stages at whole iterations >= 0, but got {brief(starts)}"
    elif (not starts and name != COARSE_TO_FINE) or (starts and starts[0] != 0) or starts != sorted(set(starts)):
        yield f"{name} must start at iteration 0 and rise, but got {brief(pairs)}"


def _coarse_to_fine_faults(name: str, pairs: Pairs) -> Iterator[str]:
    factors = [factor for _, factor in pairs]
    if not all(isinstance(factor, int) and factor >= 1 for factor in factors):
        rule = "a list of [from_iteration >= 0, factor >= 1] pairs of whole numbers"
        yield f"{name} must be {rule}, but got {brief(pairs)}"
    elif any(after > before for before, after in itertools.pairwise(factors)):
        yield f"{name} must go from large to small factors, but got {brief(pairs)}"


def _level_faults(name: str, pairs: Pairs) -> Iterator[str]:
    values = [value for _, value in pairs]
    factor = _second(name) == "factor"
    if not all(math.isfinite(value) and (value >= 0 if factor else value > 0) for value in values):
        yield f"{name} must have finite {'factors >= 0' if factor else 'noise levels > 0'}, but got {brief(values)}"
    elif factor and not any(values):
        yield f"{name} is 0 throughout; valid: a factor above 0 somewhere, or no such prior"
