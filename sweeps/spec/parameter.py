"""One parameter as a spec writes it: a fixed value, a choice, or a distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from restoration_core.errors import brief, unknown
from sweeps.spec.parameter_names import known_parameter
from sweeps.spec.schedules import structure_faults
from sweeps.spec.steps import Steps

Scalar = bool | int | float | str

DISTRIBUTIONS = ("uniform", "log_uniform", "q_uniform", "int_uniform", "int_log_uniform", "categorical")

MOST_POINTS = 100_000
"""Of one distribution on the grid."""


class Parameter(BaseModel):
    """One parameter: a fixed ``value``, a choice of ``values``, or a ``distribution`` between ``min`` and ``max``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    value: Scalar | list[list[int | float]] | None = Field(
        default=None, description="One value for all trials; `jitter: 3` is short for `jitter: {value: 3}`."
    )
    values: list[Scalar] | None = Field(default=None, description="A list to choose from.")
    distribution: str | None = Field(
        default=None, description=f"How to draw between `min` and `max`: {', '.join(DISTRIBUTIONS[:-1])}."
    )
    min: int | float | None = Field(default=None, description="The smallest value.")
    max: int | float | None = Field(default=None, description="The largest value.")
    step: int | float | None = Field(
        default=None, description="Distance of the values of `q_uniform` and `int_uniform`, counted from `min`."
    )
    grid: int | None = Field(
        default=None, description="Points that the grid sampler takes from a distribution without steps."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Parameter:
        numbers = (self.min, self.max, self.step, self.grid)
        forms = [self.value is not None, self.values is not None, self.distribution not in {None, "categorical"}]
        if sum(forms) != 1:
            raise ValueError("give exactly one of a value, `values: [...]` or `distribution:` with min and max")
        if self.distribution is None or self.distribution == "categorical":
            if any(number is not None for number in numbers):
                raise ValueError("min, max, step and grid go with `distribution:` only")
        else:
            self._check_range()
        if self.values is not None and not self.values:
            raise ValueError("values must not be empty")
        if self.values is not None and len({(type(v) is bool, v) for v in self.values}) < len(self.values):
            raise ValueError(f"values must differ, but got {brief(self.values)}")
        return self

    def _check_range(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(unknown("distribution", self.distribution, DISTRIBUTIONS))
        if self.min is None or self.max is None:
            raise ValueError(f"{self.distribution} needs min and max")
        if not (math.isfinite(self.min) and math.isfinite(self.max)):
            raise ValueError(f"min and max must be finite, but got {self.min} and {self.max}")
        if self.min > self.max:
            raise ValueError(f"min <= max must hold, but got min {self.min:g} and max {self.max:g}")
        if "log" in self.distribution and self.min <= 0:
            raise ValueError(f"{self.distribution} needs min > 0, but got {self.min:g}")
        if self.distribution == "q_uniform" and self.step is None:
            raise ValueError("q_uniform needs a step")
        if self.step is not None and self.distribution not in {"q_uniform", "int_uniform"}:
            raise ValueError(f"step goes with q_uniform and int_uniform, not with {self.distribution}")
        if self.step is not None and not 0 < self.step < math.inf:
            raise ValueError(f"step must be > 0, but got {self.step:g}")
        whole = self.distribution.startswith("int_")
        if whole and any(isinstance(number, float) for number in (self.min, self.max, self.step)):
            raise ValueError(f"{self.distribution} needs whole numbers for min, max and step")
        if self.grid is not None and not 1 <= self.grid <= MOST_POINTS:
            raise ValueError(f"1 <= grid <= {MOST_POINTS} must hold, but got {self.grid}")

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to search."""
        return self.value is not None

    def extremes(self) -> list[object]:
        """Return the values to check: when these are valid, all values of the parameter are."""
        if self.values is not None:
            return list(self.values)
        return [self.value] if self.fixed else [self.min, self.max]


def values_of(parameter: Parameter) -> Sequence[Scalar] | None:
    """Return every value that a parameter can have; None for a range without steps, which has no list of values."""
    if parameter.values is not None:
        return parameter.values
    if parameter.fixed:
        return [parameter.value]  # type: ignore[list-item]  # nobody asks this of a list of pairs
    assert parameter.min is not None
    assert parameter.max is not None
    if str(parameter.distribution).startswith("int_"):
        return range(int(parameter.min), int(parameter.max) + 1, int(parameter.step or 1))
    return None if parameter.step is None else Steps.between(parameter.min, parameter.max, parameter.step)


def listed_value(parameter: Parameter, value: Any) -> Any:
    """Return the one of :func:`values_of` that ``value`` stands for; ``value`` itself where it is none of them.

    A sampler computes 1.7000000000000002 for the step at 1.7, and a store may hold it.
    """
    values = values_of(parameter)
    if isinstance(values, Steps) and isinstance(value, int | float) and not isinstance(value, bool):
        meant = values.meant_by(value)
        return value if meant is None else meant
    return value


def parameter_faults(name: str, parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with a parameter's values, given its name (which must be known)."""
    known = known_parameter(name)
    assert known is not None, name
    if known.kind is list:
        yield from structure_faults(name, parameter.value)
        return
    numeric = known.kind in {int, float} and not known.choices
    if parameter.distribution not in {None, "categorical"}:
        if not numeric:
            yield f"{name} has no order, so {parameter.distribution} cannot draw it; valid: values: [...]"
            return
        if known.kind is int and not str(parameter.distribution).startswith("int_"):
            yield f"{name} is a whole number; valid distributions: int_uniform, int_log_uniform"
            return
    for value in parameter.extremes():
        fault = known.fault(value)
        if fault:
            yield f"{name}: {fault}" if fault.startswith("unknown") else f"{name} {fault}"
