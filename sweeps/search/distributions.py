"""Parameters as Optuna's distributions, and the values they have on a grid or in the middle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from restoration_core.errors import InputError
from sweeps.spec.parameter import Parameter, listed_value, values_of
from sweeps.spec.steps import Steps


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return the Optuna distribution of a searched parameter.

    The upper end of a stepped distribution is lowered to the last value that the steps reach.
    """
    if parameter.values is not None:
        return CategoricalDistribution(parameter.values)
    assert parameter.min is not None
    assert parameter.max is not None
    kind = str(parameter.distribution)
    if kind.startswith("int_"):
        step = int(parameter.step or 1)
        low, high = int(parameter.min), int(parameter.max)
        return IntDistribution(low, low + (high - low) // step * step, log="log" in kind, step=step)
    low_float, high_float = float(parameter.min), float(parameter.max)
    if parameter.step is None:
        return FloatDistribution(low_float, high_float, log="log" in kind)
    highest = Steps.between(low_float, high_float, parameter.step)[-1]
    return FloatDistribution(low_float, highest, step=float(parameter.step))


def grid_values(name: str, parameter: Parameter) -> Sequence[Any]:
    """Return a searched parameter's values on the grid; see :meth:`sweeps.search.space.SearchSpace.axes`."""
    item = distribution(parameter)
    if isinstance(item, CategoricalDistribution):
        return list(item.choices)
    assert isinstance(item, IntDistribution | FloatDistribution)
    if parameter.grid is not None:
        return _spread(parameter, item, parameter.grid)
    stepped = not item.log and item.step is not None
    if stepped and (values := values_of(parameter)) is not None:
        return values
    raise InputError(
        f"{name}: the grid sampler cannot walk {parameter.distribution}; "
        "valid: values: [...], a step, or grid: n points"
    )


def middle(parameter: Parameter) -> Any:
    """Return a parameter's value for a trial that does not search it: fixed, the first value, or the middle.

    The middle of a log distribution is the geometric mean of its ends.
    """
    if parameter.fixed:
        return parameter.value
    item = distribution(parameter)
    if isinstance(item, CategoricalDistribution):
        return item.choices[0]
    assert isinstance(item, IntDistribution | FloatDistribution)
    centre = math.sqrt(item.low * item.high) if item.log else (item.low + item.high) / 2
    if item.step is not None and not item.log:
        centre = item.low + round((centre - item.low) / item.step) * item.step
    return round(centre) if isinstance(item, IntDistribution) else listed_value(parameter, float(centre))


def count_values(item: BaseDistribution) -> float:
    """Return how many values a distribution has, infinite for a continuous one."""
    if isinstance(item, CategoricalDistribution):
        return len(item.choices)
    assert isinstance(item, IntDistribution | FloatDistribution)
    if item.low == item.high:
        return 1
    if item.step is None:
        return math.inf
    return round((item.high - item.low) / item.step) + 1


def _spread(parameter: Parameter, item: IntDistribution | FloatDistribution, points: int) -> list[Any]:
    """Return ``points`` values from low to high, evenly spaced in the scale of the distribution."""
    fractions = [0.5] if points == 1 else [index / (points - 1) for index in range(points)]
    if item.log:
        values = [item.low * (item.high / item.low) ** fraction for fraction in fractions]
    else:
        values = [item.low + (item.high - item.low) * fraction for fraction in fractions]
    if item.step is not None and not item.log:
        values = [item.low + round((value - item.low) / item.step) * item.step for value in values]
    clipped = [min(max(value, item.low), item.high) for value in values]
    if isinstance(item, IntDistribution):
        return sorted({round(value) for value in clipped})
    return list(dict.fromkeys(listed_value(parameter, float(value)) for value in clipped))
