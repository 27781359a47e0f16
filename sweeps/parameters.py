"""The parameters a sweep may set or search: their names, their ranges, and how a spec writes them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from restoration_core.errors import unknown

Scalar = bool | int | float | str

ENABLED = "enabled"
PRESET = "preset"  # of a baseline: named settings which the other parameters override
EXPERTS = ("logistic", "student_t")
GROUPS = ("total_variation", "alpha_norm", "range", "priors.image")
DISTRIBUTIONS = ("uniform", "log_uniform", "q_uniform", "int_uniform", "int_log_uniform", "categorical")
FIXED_STRUCTURES = ("coarse_to_fine",)


@dataclass(frozen=True)
class Known:
    """What one parameter may be.

    Attributes:
        kind: the type of its values.
        low, high: inclusive range of a number.
        choices: valid texts; empty for numbers.
        above: True when ``low`` itself is excluded.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    above: bool = False

    def fault(self, value: object) -> str | None:
        """Return what is wrong with ``value`` (rule, then value), or None."""
        if self.kind is bool:
            return None if isinstance(value, bool) else f"must be true or false, but got {value!r}"
        if self.choices:
            return None if value in self.choices else unknown("value", value, self.choices)
        whole = self.kind is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return f"must be {'a whole number' if whole else 'a number'}, but got {value!r}"
        if not math.isfinite(value):
            return f"must be finite, but got {value!r}"
        if value < self.low or (self.above and value <= self.low):
            return f"must be {'>' if self.above else '>='} {self.low:g}, but got {value!r}"
        return None if value <= self.high else f"must be <= {self.high:g}, but got {value!r}"


_WEIGHT = Known(float, low=0.0, high=1e12)

PARAMETERS: Mapping[str, Known] = {
    "total_variation.weight": _WEIGHT,
    "total_variation.beta": Known(float, low=1.0, high=10.0),
    "alpha_norm.weight": _WEIGHT,
    "alpha_norm.alpha": Known(float, low=1.0, high=20.0),
    "range.weight": _WEIGHT,
    "range.alpha": Known(float, low=1.0, high=20.0),
    "priors.image.weight": _WEIGHT,
    "priors.image.expert": Known(str, choices=EXPERTS),
    "priors.image.patch_size": Known(int, low=2, high=32),
    "priors.image.patch_stride": Known(int, low=1, high=32),
    "learning_rate": Known(float, low=0.0, high=100.0, above=True),
    "learning_rate_end": Known(float, low=0.0, high=100.0, above=True),
    "iterations": Known(int, low=1, high=1_000_000),
    "beta1": Known(float, low=0.0, high=0.9999),
    "beta2": Known(float, low=0.0, high=0.9999),
    "jitter": Known(int, low=1, high=64),
    "jitter_until": Known(int, low=0, high=1_000_000),
    "bound": Known(float, low=0.0, high=1e6, above=True),
    "initial_std": Known(float, low=0.0, high=10.0),
    **{f"{group}.{ENABLED}": Known(bool) for group in GROUPS},
}


def group_of(name: str) -> str | None:
    """Return the prior a parameter belongs to (``priors.image``), None for one of the optimiser."""
    return next((group for group in GROUPS if name.startswith(f"{group}.")), None)


class Parameter(BaseModel):
    """One parameter: a fixed ``value``, a choice of ``values``, or a ``distribution`` between ``min`` and ``max``.

    ``step`` spaces the values of ``q_uniform`` and ``int_uniform``; ``grid`` is the number of points that the grid
    sampler takes from a distribution without steps.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    value: Scalar | list[list[int]] | None = None
    values: list[Scalar] | None = None
    distribution: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    grid: int | None = None

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
            raise ValueError(f"values must differ, but got {self.values}")
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
        if self.grid is not None and self.grid < 1:
            raise ValueError(f"grid must be >= 1, but got {self.grid}")

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to search."""
        return self.value is not None

    def extremes(self) -> list[object]:
        """Return the values that have to be valid for all of them to be."""
        if self.values is not None:
            return list(self.values)
        return [self.value] if self.fixed else [self.min, self.max]


def parameter_faults(name: str, parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with a parameter's values, given its name (which must be known)."""
    if name in FIXED_STRUCTURES:
        if not isinstance(parameter.value, list):
            yield f"{name} cannot be searched; valid: a list of [from_iteration, factor] pairs"
        else:
            yield from _coarse_to_fine_faults(parameter.value)
        return
    known = PARAMETERS[name]
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


def _coarse_to_fine_faults(pairs: list[list[int]]) -> Iterator[str]:
    starts = [pair[0] for pair in pairs if pair]
    if any(len(pair) != 2 or pair[0] < 0 or pair[1] < 1 for pair in pairs):
        yield f"coarse_to_fine must be a list of [from_iteration >= 0, factor >= 1] pairs, but got {pairs}"
    elif starts and (starts[0] != 0 or starts != sorted(set(starts))):
        yield f"coarse_to_fine must start at iteration 0 and rise, but got {pairs}"
    elif any(after[1] > before[1] for before, after in itertools.pairwise(pairs)):
        yield f"coarse_to_fine must go from large to small factors, but got {pairs}"


Fault = tuple[tuple[str | int, ...], str]


def flatten(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str | int, ...]], list[Fault]]:
    """Turn the ``parameters`` section into flat names.

    ``total_variation: {weight: ..., beta: ...}`` becomes ``total_variation.weight`` and ``total_variation.beta``, and
    ``optional: true`` in a group becomes the searched switch ``<group>.enabled``; scalars become ``{value: ...}``.

    Returns:
        parameters by flat name; where each is written, as a path below ``parameters``; faults with their paths.
    """
    flat: dict[str, Any] = {}
    origin: dict[str, tuple[str | int, ...]] = {}
    faults: list[Fault] = []

    def put(name: str, value: Any, path: tuple[str | int, ...]) -> None:
        if name in flat:
            faults.append((path, f"{name} is given twice; valid: once, flat or inside its group"))
            return
        if name not in PARAMETERS and name not in FIXED_STRUCTURES:
            faults.append((path, unknown_parameter(name)))
            return
        origin[name] = path
        flat[name] = value if isinstance(value, Mapping) else {"value": value}

    for key, value in raw.items():
        if key not in GROUPS:
            put(key, value, (key,))
        elif not isinstance(value, Mapping):
            faults.append(((key,), f"{key} must be a group such as {{weight: 0.1}}, but got {value!r}"))
        else:
            for child, inner in value.items():
                if child == "optional":
                    if not isinstance(inner, bool):
                        faults.append(((key, child), f"optional must be true or false, but got {inner!r}"))
                    elif inner:
                        put(f"{key}.{ENABLED}", {"values": [False, True]}, (key, child))
                else:
                    put(f"{key}.{child}", inner, (key, child))
    return flat, origin, faults


def unknown_parameter(name: str) -> str:
    """Return the message for a parameter name that does not exist (or not yet)."""
    if name.startswith("priors.") and not name.startswith("priors.image"):
        layer = name.removeprefix("priors.")
        return f"a prior on feature map {layer!r}: feature-map priors come with a later version; valid: priors.image"
    return unknown("parameter", name, sorted([*PARAMETERS, *FIXED_STRUCTURES]))
