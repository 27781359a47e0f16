"""A step along a line that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.9
_MOST_EVALUATIONS = 25
_LARGEST_GROWTH = 10.0


@dataclass(frozen=True)
class Point:
    """A point of the line ``x + step * direction``.

    Attributes:
        step: the factor of ``direction``.
        value: the objective there.
        slope: its derivative along the line.
        gradient: its gradient with respect to the variable.
        losses: the parts of the objective by name, to be recorded.
    """

    step: float
    value: float
    slope: float
    gradient: Tensor
    losses: Mapping[str, float]


def search_line(evaluate: Callable[[float], Point], start: Point, first: float) -> Point | None:
    """Return a lower point of a line that descends at ``start``; None where none is found.

    It satisfies ``f(t) <= f(0) + c1 t f'(0)`` and ``|f'(t)| <= c2 |f'(0)|`` with c1 = 1e-4 and c2 = 0.9. When 25
    evaluations have found no such point, it is the lowest one seen that satisfies the first condition. A point where
    the objective is no number counts as too far.

    Args:
        evaluate: gives the point at a step.
        start: the point at step 0; its slope is negative.
        first: step to try first, > 0.

    Source: Nocedal & Wright 2006, algorithms 3.5 and 3.6, cubic interpolation of eq. 3.59.
    """
    low, high = start, None
    step = first
    for _ in range(_MOST_EVALUATIONS):
        point = evaluate(step)
        rises = not point.value <= start.value + SUFFICIENT_DECREASE * step * start.slope  # true for NaN as well
        if rises or (low.step > 0 and point.value >= low.value) or (high is not None and point.value >= low.value):
            high = point
        elif abs(point.slope) <= -CURVATURE * start.slope:
            return point
        else:
            if high is None:
                high = low if point.slope >= 0 else None
            elif point.slope * (high.step - low.step) >= 0:
                high = low
            low = point
        if high is None:
            step *= min(_LARGEST_GROWTH, max(2.0, _secant_growth(start, point)))
        else:
            step = _between(low, high)
            if step in (low.step, high.step):
                break
    return low if low.step > 0 and low.value < start.value else None


def _secant_growth(start: Point, point: Point) -> float:
    """Return the factor on the step at which the slope, if it went on changing as it has, would be zero."""
    fall = start.slope - point.slope
    return start.slope / fall if fall < 0 else math.inf


def _between(low: Point, high: Point) -> float:
    """Return the minimum of the cubic through both points and slopes, a tenth of the interval or more from its ends."""
    width = high.step - low.step
    share = 0.5
    if math.isfinite(high.value) and math.isfinite(high.slope):
        d1 = low.slope + high.slope - 3 * (high.value - low.value) / width
        square = d1 * d1 - low.slope * high.slope
        if square >= 0:
            d2 = math.copysign(math.sqrt(square), width)
            bottom = high.slope - low.slope + 2 * d2
            if bottom != 0:
                share = 1 - (high.slope + d2 - d1) / bottom
    elif not math.isfinite(high.value):
        share = 0.1
    return low.step + min(max(share, 0.1), 0.9) * width
